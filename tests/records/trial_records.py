"""Records for tests that run no trial: typed ones, with what a test does not care about filled in."""

from typing import Any

from pdsearch.protocol import Report, StudentFacts
from pdsearch.records.trial_record import AskedRecord, TrialRecord
from pdsearch.specs import DataSpec, DistillSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec

RECIPE = Recipe(epochs=3, lr=0.1)
SPEC = TrialSpec(
    data=DataSpec("digits"),
    teacher=TeacherSpec("convnet_l", 0, RECIPE),
    student=StudentSpec("convnet_s"),
    distill=DistillSpec(RECIPE),
)


END = {
    "config": "c" * 64,
    "state": "complete",
    "reports": (),
    "values": {},
    "student": StudentFacts(model="convnet_s"),
}


def _identity(number: int | None) -> dict[str, Any]:
    name = "confirm-0123456789ab" if number is None else f"search-{number:05d}"
    kind = "confirm" if number is None else "search"
    return {"id": name, "kind": kind, "number": number, "key": "a" * 64, "params": {}, "spec": SPEC}


def asked(number: int | None = 0, **given: Any) -> AskedRecord:
    """An asked record."""
    return AskedRecord(**{**_identity(number), **given})


def finished(number: int | None = 0, **given: Any) -> TrialRecord:
    """A finished record."""
    return TrialRecord(**{**_identity(number), **END, **given})


def reports(*accuracies: float | None, of: int = 3) -> tuple[Report, ...]:
    """Reports of the first epochs."""
    return tuple(Report(epoch, of, value, 1.0) for epoch, value in enumerate(accuracies, 1))
