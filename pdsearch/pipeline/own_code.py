"""The user's own code in a trial: the models, methods and losses that are known by the hash of their file."""

import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType

from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.models import models
from pdsearch.pruning.registry import methods
from pdsearch.registry import AnyRegistry
from pdsearch.specs import PruneSpec, TrialSpec
from pdsearch.user_code import causes, source_file, source_hash


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


PACKAGE = str(Path(__file__).parents[1]) + os.sep
LOSS, STUDENT, TEACHER, METHOD = "distill.loss", "student.model", "teacher.model", "prune.method"
CALLS = {
    "distillation/": (LOSS,),
    "pruning/": (METHOD,),
    "pipeline/distill.py _live": (TEACHER,),
    "pipeline/distill.py": (LOSS, STUDENT),
    "pipeline/student.py": (STUDENT,),
    "pipeline/prune.py": (TEACHER,),
    "pipeline/teacher.py": (TEACHER,),
}
"""Files of pdsearch, some with a function, and the fields whose parts they call; the first that fits counts."""

NETWORKS_ONLY = ("pipeline/networks.py", "training/evaluate.py")
"""Files that call a network, and never a loss."""


def blamed(error: BaseException, spec: TrialSpec) -> str:
    """Return the field and the value of the own code from which an error of a trial came, as `FIELD: VALUE`.

    That is the part in whose file it was raised; where several are in one file, or it was raised elsewhere, the part
    that was being called. Several that may be it are joined by "or"; "" if none may.

    Args:
        error: What was raised.
        spec: The trial.
    """
    parts = dict(_own_parts(spec))
    # An error that was raised from another has the frames outside of that one.
    chain = causes(error) if parts else []
    codes = [
        frame.f_code
        for one in reversed(chain)
        for frame, _ in reversed([*traceback.walk_tb(one.__traceback__)])
    ]
    called = [
        group
        for code in codes
        for group in _called(code.co_filename, code.co_name, codes)
        if {*group} & {*parts}
    ]
    for code in codes:
        of_file = [field for field, (_, file) in parts.items() if file == os.path.abspath(code.co_filename)]
        if of_file:
            top = code.co_qualname.partition(".")[0]
            named = [field for field in of_file if parts[field][0].rpartition(":")[2] == top] or of_file
            calling = next((both for group in called if (both := [f for f in named if f in group])), named)
            return _listed(calling, parts)
    return _listed([field for field in next(iter(called), ()) if field in parts], parts)


def _own_parts(spec: TrialSpec) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the field of each part of the user's, with its value and its file."""
    named: list[tuple[str, AnyRegistry, str]] = [
        (TEACHER, models, spec.teacher.model),
        (STUDENT, models, spec.student.model),
        (LOSS, losses, spec.distill.loss),
        *([(METHOD, methods, spec.prune.method)] if spec.prune else []),
    ]
    for field, registry, name in named:
        own = registry.own_name(name) if name in registry else None
        if own is not None:
            yield field, (name, source_file(own))


def _called(file: str, function: str, codes: list[CodeType]) -> Iterator[tuple[str, ...]]:
    """Yield the fields of the parts that a function of pdsearch calls."""
    if not file.startswith(PACKAGE):
        return
    place = f"{file.removeprefix(PACKAGE).replace(os.sep, '/')} {function}"
    fields = next((fields for start, fields in CALLS.items() if place.startswith(start)), ())
    if fields:
        network = any(
            code.co_filename.startswith(tuple(PACKAGE + name for name in NETWORKS_ONLY)) for code in codes
        )
        yield tuple(field for field in fields if not (network and field == LOSS and len(fields) > 1))


def _listed(fields: list[str], parts: dict[str, tuple[str, str]]) -> str:
    return " or ".join(f"{field}: {parts[field][0]}" for field in fields)
