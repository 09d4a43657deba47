"""Check that user code is unchanged since the study was opened."""

from typing import Any

from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.models import models
from pdsearch.pruning.registry import methods
from pdsearch.registry import Registry
from pdsearch.specs import TrialSpec
from pdsearch.user_code import source_hash

__all__ = ["check_own_code"]


def check_own_code(spec: TrialSpec) -> None:
    """Refuse a trial whose models, method or loss have other source code here than where the study was opened.

    Raises:
        ConfigError: A file differs, or cannot be imported here.
    """
    named: list[tuple[Registry[Any], str, str]] = [
        (models, spec.teacher.model, spec.teacher.code),
        (models, spec.student.model, spec.student.code),
        (losses, spec.distill.loss, spec.distill.code),
    ]
    named += [(methods, spec.prune.method, spec.prune.code)] if spec.prune else []
    for registry, name, code in named:
        if code and _hash(registry, name) != code:
            hint = "give every node the same file, e.g. by `ray job submit --working-dir`"
            raise ConfigError("its file is not the one the study was opened with", where=name, hint=hint)


def _hash(registry: Registry[Any], name: str) -> str:
    own = registry.own_name(name)
    return source_hash(own) if own else ""
