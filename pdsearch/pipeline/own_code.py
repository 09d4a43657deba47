"""The user's own code in a trial: the models, methods and losses that are known by the hash of their file."""

from collections.abc import Callable
from dataclasses import replace

from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.models import models
from pdsearch.pruning.registry import methods
from pdsearch.registry import AnyRegistry
from pdsearch.specs import PruneSpec, TrialSpec
from pdsearch.user_code import source_hash


def recoded(spec: TrialSpec, code: Callable[[AnyRegistry, str, str], str]) -> TrialSpec:
    """Return a trial with other hashes of its own code.

    Args:
        spec: The trial.
        code: Called with the registry, the name and the present hash of each part; the hash is "" for one of pdsearch.
    """

    def pruned(prune: PruneSpec | None) -> PruneSpec | None:
        return prune and replace(prune, code=code(methods, prune.method, prune.code))

    teacher, student, distill = spec.teacher, spec.student, spec.distill
    return replace(
        spec,
        teacher=replace(teacher, code=code(models, teacher.model, teacher.code)),
        prune=pruned(spec.prune),
        student=replace(student, code=code(models, student.model, student.code), start=pruned(student.start)),
        distill=replace(distill, code=code(losses, distill.loss, distill.code)),
    )


def check_own_code(spec: TrialSpec) -> None:
    """Refuse a trial whose models, methods or loss have other source code here than where the study was opened.

    Raises:
        ConfigError: A file differs, or cannot be imported here.
    """

    def checked(registry: AnyRegistry, name: str, code: str) -> str:
        own = registry.own_name(name) if code else None
        if code and (own is None or source_hash(own) != code):
            hint = "give every node the same file, e.g. by `ray job submit --working-dir`"
            raise ConfigError("its file is not the one the study was opened with", where=name, hint=hint)
        return code

    recoded(spec, checked)
