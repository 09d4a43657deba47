"""Completion of a sampled spec with what the study resolved once (hashes, paths, precision), and its keys."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from pdsearch.config import Space
from pdsearch.data.options import lasting_root
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.io.durable import from_home
from pdsearch.models import lasting, models
from pdsearch.pipeline.keys import config_key, recoded, student_key, teacher_config
from pdsearch.pruning.registry import methods
from pdsearch.records.trial_record import AskedRecord, TrialRecord
from pdsearch.registry import AnyRegistry
from pdsearch.specs import Json, TrialSpec
from pdsearch.user_code import is_dotted, source_folder, source_hash


@cache
def _installed() -> tuple[tuple[str, str | None], ...]:
    found: list[tuple[str, str | None]] = [("python", platform.python_version())]
    for name in ("pdsearch", "torch", "torchvision", "ray", "optuna", "numpy"):
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, None))
    return tuple(found)


def versions() -> dict[str, Json]:
    """Return the versions a record carries."""
    return dict(_installed())


@dataclass(frozen=True)
class Description:
    """What a study resolved once, before its first trial.

    Args:
        fingerprint: Of the data.
        precision: "fp32", "bf16" or "fp16".
        versions: Versions of everything that could matter.
        checkpoints: Hash of each file of teacher's weights, by the name the space gives it.
        code: Hash of the file of each model, method and loss that is not of pdsearch, by `package.module:function`.
        contents: What the data hold; see `pdsearch.data.dataset.composition.Contents.as_json`.
    """

    fingerprint: str
    precision: str
    versions: Mapping[str, Json] = field(default_factory=versions)
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, Json] = field(default_factory=dict)

    def complete(self, spec: TrialSpec) -> TrialSpec:
        """Return a specification with hashes, lasting names and paths, and the precision filled in."""
        teacher, student, path = spec.teacher, spec.student, spec.teacher.checkpoint
        if path is not None:
            teacher = replace(teacher, checkpoint=absolute(path), fingerprint=self.checkpoints[path])
        found = replace(
            spec,
            data=replace(spec.data, fingerprint=self.fingerprint, root=lasting_root(spec.data)),
            teacher=replace(teacher, options=lasting(teacher.model, teacher.options)),
            student=replace(student, options=lasting(student.model, student.options)),
            precision=self.precision,
        )
        return recoded(found, self._code)

    def is_outdated(self, spec: TrialSpec) -> bool:
        """Return whether a trial was asked with own code that is another now."""
        return bool(self.code) and recoded(spec, self._present) != spec

    def at_present(self, record: TrialRecord) -> TrialRecord:
        """Return a finished record as what it counts for now: a result of the present code, if it had an earlier one.

        What follows from it, its confirmation for example, is trained with the present code and keyed by it.
        """
        if not self.is_outdated(record.spec):
            return record
        spec = recoded(record.spec, self._present)
        teacher = record.teacher and replace(record.teacher, config=teacher_config(spec))
        return replace(record, spec=spec, key=student_key(spec), config=config_key(spec), teacher=teacher)

    def _present(self, registry: AnyRegistry, name: str, code: str) -> str:
        own = registry.own_name(name) if code else None
        return self.code.get(own, code) if own else code

    def _code(self, registry: AnyRegistry, name: str, _code: str) -> str:
        own = registry.own_name(name)
        return self.code[own] if own else ""


def same_trial(record: AskedRecord | TrialRecord) -> tuple[str, str]:
    """Return what a trial and its retry have in common, also where own code was mended in between: kind and key."""
    spec = recoded(record.spec, lambda _registry, _name, _code: "")
    try:
        return record.kind, record.key if spec == record.spec else student_key(spec)
    except ConfigError:  # Own code that is gone cannot say whether the loss hears the teacher.
        return record.kind, repr(spec)


def absolute(path: str) -> str:
    """Return a path that means the same file in a worker, which starts in another folder."""
    return str(from_home(path).absolute())


FIELDS: Mapping[str, AnyRegistry] = {
    "teacher.model": models,
    "student.model": models,
    "prune.method": methods,
    "distill.loss": losses,
}
READER = "data.options.function"
"""The function of the source `callable`; its images are identified by their content, so that it needs no hash."""


def own_code_hashes(space: Space) -> dict[str, str]:
    """Return the hash of the source file of every model, method and loss of a space that is not of pdsearch.

    Raises:
        ConfigError: One cannot be imported.
    """
    return {name: source_hash(name) for name in _named(space)}


def own_folders(space: Space) -> dict[str, str]:
    """Return the folder of each piece of own code, data functions included, installed packages left out.

    Raises:
        ConfigError: One cannot be imported.
    """
    readers = [name for name in _values(space, READER) if is_dotted(name)]
    found = {name: source_folder(name) for name in (*_named(space), *readers)}
    return {name: folder for name, folder in sorted(found.items()) if folder is not None}


def _named(space: Space) -> list[str]:
    named = [registry.own_name(name) for field, registry in FIELDS.items() for name in _values(space, field)]
    starts = [value["method"] for name, value in space.fixed if name == "student.start"]
    named += map(methods.own_name, starts)
    return sorted({name for name in named if name is not None})


def _values(space: Space, field: str) -> list[str]:
    named = [str(value) for name, value in space.fixed if name == field]
    return named + [str(choice) for p in space.parameters if p.name == field for choice in p.choices]
