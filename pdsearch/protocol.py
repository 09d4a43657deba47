"""Messages between a runner and a trial: the job sent to it and the events it returns. Standard library only."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.objectives import Aims, Constraint
from pdsearch.records.students import StudentKind
from pdsearch.specs import Json, TrialSpec


@dataclass(frozen=True)
class Progress:
    """A stage before distillation made progress (e.g. an epoch of a teacher), or waits for another worker's result.

    Args:
        stage: "data", "teacher", "prune" or "outputs".
        note: What is being done, for display.
        epoch: Epochs done.
        epochs: Epochs in all; 0 where the stage has none.
        val_accuracy: Of the network being trained, in [0, 1], if it was measured.
    """

    stage: str
    note: str = ""
    epoch: int = 0
    epochs: int = 0
    val_accuracy: float | None = None


@dataclass(frozen=True)
class Use:
    """One artifact a trial used: hit is whether it existed already; seconds is what building it took."""

    stage: str
    key: str
    hit: bool
    seconds: float


@dataclass(frozen=True)
class Ready:
    """Teacher and student are ready and distillation begins; carries the facts of both for the record.

    Args:
        teacher: Facts of the teacher; None for a student without one.
        student: Facts of the untrained student.
        artifacts: Artifacts used so far.
        epochs: Epochs trained so far for this trial, by stage.
        host: Host the trial runs on.
        device: Device it runs on.
    """

    teacher: Mapping[str, Json] | None
    student: Mapping[str, Json]
    artifacts: tuple[Use, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)
    host: str = ""
    device: str = ""


@dataclass(frozen=True)
class Report:
    """One epoch of distillation ended; val_accuracy in [0, 1], None without validation images; loss in nats."""

    epoch: int
    epochs: int
    val_accuracy: float | None
    loss: float


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Args:
        state: "complete", "infeasible" (a constraint was broken before distillation) or "failed"; a runner adds
            "stopped", and a constraint broken at the end turns "complete" into "infeasible".
        reason: Why it is not complete.
        values: Metrics by name, e.g. student.val_accuracy.
        test: Test accuracies of student and teacher, where the trial was allowed to open the test set.
        test_right: Which test images the student gets right (`codec.pack`), where they were opened.
        student: Key of the student's artifact.
        artifacts: All artifacts used.
        epochs: Epochs trained for this trial, by stage.
        seconds: Wall time in the worker.
        host: Host it ran on.
        device: Device it ran on.
    """

    state: str
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] | None = None
    test_right: str | None = None
    student: str | None = None
    artifacts: tuple[Use, ...] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    host: str = ""
    device: str = ""


Event: TypeAlias = Progress | Ready | Report | Outcome
_KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in (Progress, Ready, Report, Outcome)}


def event_to_json(event: Event) -> dict[str, object]:
    """Return an event as plain JSON values, with its kind under "event"."""
    return {"event": type(event).__name__.lower(), **dataclasses.asdict(event)}


def event_from_json(value: Mapping[str, Any]) -> Event:
    """Rebuild an event from `event_to_json`."""
    fields = {name: item for name, item in value.items() if name != "event"}
    if "artifacts" in fields:
        fields["artifacts"] = tuple(Use(**use) for use in fields["artifacts"])
    event: Event = _KINDS[value["event"]](**fields)
    return event


LATENCY = "student.latency"
"""The metric that depends on the machine: measured only where an objective or a constraint needs it."""

_FULL, _REFUSED = "full", "refused"


@dataclass(frozen=True)
class Job:
    """One piece of work for one worker.

    Args:
        id: Its name in the records, unique in the study.
        kind: "teacher" (build the dense teacher and nothing else), "baseline", "search" or "confirm".
        spec: What to compute.
        key: Key of the student, or of the teacher for a teacher's job.
        number: Number of the Optuna trial, if it is one.
        params: Sampled values, by dotted name.
        limits: Constraints; those on metrics known before distillation are checked then, all of them at the end.
        measures: Metrics measured only because an objective or a constraint needs them: "student.latency".
        decide_at: Epochs after which the driver decides whether it continues; none for a job that is never stopped.
        test: It may open the test set, once, at its end.
        baselines: Configurations to compare with, by role ("unpruned", "alone").
        student: The student that its teacher left when it was searched, where its teacher shapes it; another one fails.
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
    student: StudentKind | None = None


class Work(Protocol):
    """Source of jobs for a runner of any kind: hands out jobs, receives their events and outcomes.

    A runner calls `next` whenever it has a free slot; None means that there is no job at the moment, and `done` whether
    there will be none at all. For every job it calls `busy` when a worker begins, `tell` with each event in order, then
    `finish` exactly once.
    """

    @property
    def done(self) -> bool:
        """Whether nothing is left to start and nothing is running."""

    @property
    def closing(self) -> bool:
        """Whether all jobs are to be closed, including one that still waits for a worker and returns no event."""

    def next(self) -> Job | None:
        """Return the next job, or None."""

    def busy(self, job: Job, is_busy: bool) -> None:
        """Note that a worker begins with a job, or that the job has lost it."""

    def tell(self, job: Job, event: Event) -> bool:
        """Process an event of a running job; True asks the runner to close the job."""

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Process a job's outcome; its record is on disk when this returns."""


def measures(aims: Aims) -> tuple[str, ...]:
    """Return the metrics that a study's trials must measure beside those that are always known."""
    return (LATENCY,) if LATENCY in aims.metrics else ()


def refusal(error: StorageError) -> str:
    """Return the outcome state that encodes a storage error: the job is run again later."""
    return _FULL if isinstance(error, StorageFullError) else _REFUSED


def refused_by(outcome: Outcome) -> StorageError | None:
    """Return the storage error that an outcome encodes; None if the job itself ended."""
    if outcome.state not in (_FULL, _REFUSED):
        return None
    kind = StorageFullError if outcome.state == _FULL else StorageError
    what, _, told = (outcome.reason or "the storage refused").partition(StorageError.ARROW)
    usual = "free some space" if outcome.state == _FULL else "mend the storage"
    return kind(what, hint=told or f"{usual}, then run the same command again")
