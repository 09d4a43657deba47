"""What does a trial say while it runs? Four kinds of plain messages, the same for every runner."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pdsearch.specs import Json

__all__ = ["Event", "Outcome", "Progress", "Ready", "Report", "Use", "event_from_json", "event_to_json"]


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
