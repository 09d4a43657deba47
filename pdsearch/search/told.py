"""What is a study told of a finished record? State, values, reports, whatever the space."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import TrialState

from pdsearch.trial_record import TrialRecord

__all__ = ["INTERRUPTED", "NAMES", "Told", "told"]

INTERRUPTED = "interrupted"
"""Reason of a trial that was cut off and is asked again; it is no failure."""

NAMES = {"search": "search", "baseline": "unpruned"}
"""Kind of trials -> name of their Optuna study."""

_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "infeasible": TrialState.PRUNED}


@dataclass(frozen=True)
class Told:
    """What a study is told of a finished record: a state, values by objective or None, the value at each epoch."""

    state: TrialState
    values: list[float] | None
    reports: dict[int, float]


def told(record: TrialRecord, metrics: Sequence[str]) -> Told:
    """Return what a study of these objectives is told of a finished record."""
    state = _STATES.get(record.state, TrialState.FAIL)
    several = len(metrics) > 1  # Optuna takes no reports then.
    reports = {
        report.epoch: float(report.val_accuracy)
        for report in (() if several else record.reports)
        if report.val_accuracy is not None
    }
    values = None
    if state is TrialState.COMPLETE:
        values = [float(record.values[metric]) for metric in metrics]
    elif state is TrialState.PRUNED and reports:
        values = [reports[max(reports)]]
    return Told(state, values, reports)
