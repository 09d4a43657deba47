"""Messages between a runner and a trial: the job it is given and the events it answers with. Standard library only."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.objectives import Aims, Constraint
from pdsearch.specs import Json, TrialSpec, spec_from_json, spec_to_json

__all__ = [
    "LATENCY",
    "Event",
    "Job",
    "Outcome",
    "Progress",
    "Ready",
    "Report",
    "Use",
    "Work",
    "event_from_json",
    "event_to_json",
    "job_from_json",
    "job_to_json",
    "measures",
    "refusal",
    "refused_by",
]


@dataclass(frozen=True)
class Progress:
    """A stage before distillation goes on (an epoch of a teacher, say), or waits for another worker's result.

    Args:
        stage: "data", "teacher", "prune" or "outputs".
        note: What is being done, for a person.
        epoch: Epochs done.
        epochs: Epochs in all; 0 where the stage has none.
        val_accuracy: Of the network in training, in [0, 1], if it was measured.
    """

    stage: str
    note: str = ""
    epoch: int = 0
    epochs: int = 0
    val_accuracy: float | None = None


@dataclass(frozen=True)
class Use:
    """One artifact a trial used: hit says that it was there already; seconds is what building it cost."""

    stage: str
    key: str
    hit: bool
    seconds: float


@dataclass(frozen=True)
class Ready:
    """Teacher and student stand; distillation begins. Everything known of both, as the record will hold it.

    Args:
        teacher: Facts of the network that teaches; None where none does.
        student: Facts of the untrained student.
        artifacts: Used so far.
        epochs: Trained so far for this trial, by stage.
        host: Where the trial runs.
        device: On what.
    """

    teacher: Mapping[str, Json] | None
    student: Mapping[str, Json]
    artifacts: tuple[Use, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)
    host: str = ""
    device: str = ""


@dataclass(frozen=True)
class Report:
    """One epoch of distillation is done; val_accuracy in [0, 1], None without validation images; loss in nats."""

    epoch: int
    epochs: int
    val_accuracy: float | None
    loss: float


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        state: "complete", "infeasible" (a constraint, before distillation) or "failed"; a runner adds "stopped", and a
            constraint that is broken at the end makes of "complete" "infeasible".
        reason: Why, where it is not complete.
        values: Metrics by name, e.g. student.val_accuracy.
        test: Test accuracies of student and teacher, where the trial was allowed to open the test set.
        student: Key of the student's artifact.
        artifacts: All artifacts used.
        epochs: Epochs trained for this trial, by stage.
        seconds: Wall time in the worker.
        host: Where it ran.
        device: On what.
    """

    state: str
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] | None = None
    student: str | None = None
    artifacts: tuple[Use, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    host: str = ""
    device: str = ""


Event: TypeAlias = Progress | Ready | Report | Outcome
_KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in (Progress, Ready, Report, Outcome)}


def event_to_json(event: Event) -> dict[str, Any]:
    """Return an event as plain JSON values, its kind under "event"."""
    return {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}


def event_from_json(value: Mapping[str, Any]) -> Event:
    """Rebuild an event from `event_to_json`."""
    fields = {name: item for name, item in value.items() if name != "event"}
    if "artifacts" in fields:
        fields["artifacts"] = tuple(Use(**use) for use in fields["artifacts"])
    event: Event = _KINDS[value["event"]](**fields)
    return event


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
