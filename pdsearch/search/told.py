"""What is a study told of a finished record? State, values, reports, whatever the space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.trial import TrialState

__all__ = ["INTERRUPTED", "NAMES", "Record", "Told", "told"]

INTERRUPTED = "interrupted"
"""Reason of a trial that was cut off and is asked again; it is no failure."""

NAMES = {"search": "search", "baseline": "unpruned"}
"""Kind of trials -> name of their Optuna study."""

_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "infeasible": TrialState.PRUNED}

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """What a study is told of a finished record: a state, values by objective or None, the value at each epoch."""

    state: TrialState
    values: list[float] | None
    reports: dict[int, float]


def told(record: Record, metrics: Sequence[str]) -> Told:
    """Return what a study of these objectives is told of a finished record."""
    state = _STATES.get(record["state"], TrialState.FAIL)
    several = len(metrics) > 1  # Optuna takes no reports then.
    measured = [] if several else [r for r in record["reports"] if r["val_accuracy"] is not None]
    reports = {int(r["epoch"]): float(r["val_accuracy"]) for r in measured}
    values = None
    if state is TrialState.COMPLETE:
        values = [float(record["values"][metric]) for metric in metrics]
    elif state is TrialState.PRUNED and reports:
        values = [reports[max(reports)]]
    return Told(state, values, reports)
