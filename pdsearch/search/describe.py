"""How is a sampled specification completed and named? With what the study resolved once, and with the stages' keys."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from pdsearch.specs import Json, TrialSpec
from pdsearch.stages.keys import config_key, student_key

__all__ = ["Description", "versions"]


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
    """

    fingerprint: str
    precision: str
    versions: Mapping[str, Json] = field(default_factory=versions)

    def complete(self, spec: TrialSpec) -> TrialSpec:
        """Return a specification with the fingerprint and the precision filled in."""
        return replace(spec, data=replace(spec.data, fingerprint=self.fingerprint), precision=self.precision)

    def key(self, spec: TrialSpec) -> str:
        """Return the key of the trial's student: two trials with one key are the same trial."""
        return student_key(spec)

    def config(self, spec: TrialSpec) -> str:
        """Return the key of the configuration: the trial without the student's seeds."""
        return config_key(spec)
