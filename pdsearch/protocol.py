"""Messages between a runner and a trial: the job sent to it and the events it returns. Standard library only."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol, TypeAlias

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.objectives import Aims, Constraint
from pdsearch.records.codec import decode, encode
from pdsearch.records.students import StudentKind
from pdsearch.specs import Json, TrialSpec, canonical_json


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


@dataclass(frozen=True, kw_only=True)
class TeacherFacts:
    """Facts of a trial's teacher.

    Args:
        key: Key of its artifact.
        config: Key of its configuration without the seed.
        model: Its architecture.
        seed: Seed of its training.
        val_accuracy: In [0, 1]; None without validation images.
        params: Weights of the dense teacher.
        prunable: Those of them that the method may remove; None where it was not pruned, and in earlier records.
        remaining: Those of the prunable ones that are left; None where it was not pruned.
        sparsity: Achieved share of prunable weights that are zero, in [0, 1).
        rounds: Number of pruning rounds.
        method: Pruning method; this and all that follow are None for an unpruned teacher.
        ratio: Requested share, in (0, 1).
        schedule: Schedule of the ratio over the rounds.
        recovery: Training after each round.
        scope: Set of weights within which scores were compared.
        at: The weights pruning started from.
    """

    extensible: ClassVar[bool] = True
    key: str
    config: str
    model: str
    seed: int = 0
    val_accuracy: float | None = None
    params: int | None = None
    prunable: int | None = None
    remaining: int | None = None
    sparsity: float = 0.0
    rounds: int = 0
    method: str | None = None
    ratio: float | None = None
    schedule: str | None = None
    recovery: str | None = None
    scope: str | None = None
    at: str | None = None


@dataclass(frozen=True, kw_only=True)
class StudentFacts:
    """Facts of a trial's student, as it was built.

    Args:
        model: Its architecture.
        options: Further arguments of the model.
        params: Its weights.
        flops: Floating-point operations for one image.
        widths: Layers narrower than the model's, by the name of their weight: channels, and those of the model.
        artifact: Key of its trained weights; None where its training did not finish.
    """

    extensible: ClassVar[bool] = True
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    params: int | None = None
    flops: int | None = None
    widths: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    artifact: str | None = None

    @cached_property
    def built(self) -> StudentKind:
        """What decides with which others it is compared."""
        return StudentKind(self.model, self.params, canonical_json(encode([self.options, self.widths])))

    def as_built(self) -> dict[str, Json]:
        """Return them as JSON values, without what its training adds, and without widths where no layer is narrower."""
        form: dict[str, Json] = encode(self)
        return {name: form[name] for name in form if name != "artifact" and (name != "widths" or self.widths)}


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

    teacher: TeacherFacts | None
    student: StudentFacts
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
    student = {"student": event.student.as_built()} if isinstance(event, Ready) else {}
    return {"event": type(event).__name__.lower(), **dataclasses.asdict(event), **student}


def event_from_json(value: Mapping[str, Any]) -> Event:
    """Rebuild an event from `event_to_json`."""
    fields = {name: item for name, item in value.items() if name != "event"}
    if value["event"] == "ready":
        fields["teacher"] = fields["teacher"] and decode(TeacherFacts, fields["teacher"])
        fields["student"] = decode(StudentFacts, fields["student"])
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
