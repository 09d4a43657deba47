"""What is a runner given to do? A job: one trial (or one teacher) with what may end it early. Standard library only."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.events import Event, Outcome
from pdsearch.objectives import Aims, Constraint
from pdsearch.specs import TrialSpec, spec_from_json, spec_to_json

__all__ = ["LATENCY", "Job", "Work", "job_from_json", "job_to_json", "measures", "refusal", "refused_by"]

LATENCY = "student.latency"
"""The metric that depends on the machine: measured only where somebody asks for it."""

_FULL, _REFUSED = "full", "refused"


@dataclass(frozen=True)
class Job:
    """One piece of work for one worker.

    Args:
        id: Its name in the records, unique in the study.
        kind: "teacher" (build the dense teacher, nothing else), "baseline", "search" or "confirm".
        spec: What is computed.
        key: Key of the student, or of the teacher for a teacher's job.
        number: The Optuna trial's number, where it is one.
        params: What was sampled, by dotted name.
        limits: Constraints; those on what is known before distillation are checked there, all at the end.
        measures: Metrics that an objective or a constraint wants and that nobody else pays for: "student.latency".
        decide_at: Epochs after which the driver decides whether it goes on; none for a job that is never stopped.
        test: It may open the test set, once, at its end.
        baselines: Configurations to compare with, by role ("unpruned", "alone").
    """

    id: str
    kind: str
    spec: TrialSpec
    key: str
    number: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[Constraint, ...] = ()
    measures: tuple[str, ...] = ()
    decide_at: tuple[int, ...] = ()
    test: bool = False
    baselines: Mapping[str, str] = field(default_factory=dict)


class Work(Protocol):
    """What a runner drives, whoever executes: asked for jobs, told of events, told how each job ended.

    A runner calls `next` whenever it has a free slot; None means nothing to do at the moment, and `done` says whether
    that is for good. For every job it calls `tell` with each event in order, and ends with `finish`, exactly once.
    """

    @property
    def done(self) -> bool:
        """Nothing is left to start and nothing is running."""

    @property
    def closing(self) -> bool:
        """What runs is to be closed; also a job that still waits for a worker, which would never hear it."""

    def next(self) -> Job | None:
        """Return the next job, or None."""

    def tell(self, job: Job, event: Event) -> bool:
        """Take an event of a running job; True asks the runner to close it."""

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Take a job's outcome; its record is on disk when this returns."""


def measures(aims: Aims) -> tuple[str, ...]:
    """Return what the trials of a study have to measure beside what is always known."""
    return (LATENCY,) if LATENCY in aims.metrics else ()


def refusal(error: StorageError) -> str:
    """Return the state of an outcome that stands for the storage's refusal: the job is asked again another time."""
    return _FULL if isinstance(error, StorageFullError) else _REFUSED


def refused_by(outcome: Outcome) -> StorageError | None:
    """Return the refusal that an outcome stands for; None if the job itself has ended."""
    if outcome.state not in (_FULL, _REFUSED):
        return None
    kind = StorageFullError if outcome.state == _FULL else StorageError
    what, _, told = (outcome.reason or "the storage refused").partition(StorageError.ARROW)
    usual = "free some space" if outcome.state == _FULL else "mend the storage"
    return kind(what, hint=told or f"{usual}, then run the same command again")


def job_to_json(job: Job) -> dict[str, Any]:
    """Return a job as plain JSON values."""
    return {**dataclasses.asdict(job), "spec": spec_to_json(job.spec)}


def job_from_json(value: Mapping[str, Any]) -> Job:
    """Rebuild a job from `job_to_json`."""
    return Job(
        **{
            **value,
            "spec": spec_from_json(value["spec"]),
            "limits": tuple(Constraint(**limit) for limit in value["limits"]),
            "measures": tuple(value["measures"]),
            "decide_at": tuple(value["decide_at"]),
        }
    )
