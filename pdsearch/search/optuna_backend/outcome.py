"""State, values and reports that a study holds of a finished record, whatever the space."""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from pdsearch.objectives import VAL_ACCURACY, counts
from pdsearch.trial_record import TrialRecord

__all__ = ["INTERRUPTED", "NAMES", "Told", "reported", "silence", "told"]

INTERRUPTED = "interrupted"
"""Reason of a trial that was cut off and is asked again; it is no failure."""

NAMES = {"search": "search", "baseline": "unpruned"}
"""Kind of trials -> name of their Optuna study."""


def reported(metrics: Sequence[str]) -> bool:
    """Say whether a study of these objectives is told the accuracy after each epoch: where that is what it improves."""
    return list(metrics) == [VAL_ACCURACY]


@dataclass(frozen=True)
class Told:
    """What a study is told of a finished record: a state, values by objective or None, the objective at each epoch."""

    state: TrialState
    values: list[float] | None
    reports: dict[int, float]


def told(record: TrialRecord, metrics: Sequence[str]) -> Told:
    """Return what a study of these objectives is told of a finished record."""
    state = _state(record, metrics)
    # Optuna takes a report for the only objective's value, and in the study's direction.
    reports = {
        report.epoch: float(report.val_accuracy)
        for report in (record.reports if reported(metrics) else ())
        if report.val_accuracy is not None
    }
    values = None
    if state is TrialState.COMPLETE:
        values = [float(record.values[metric]) for metric in metrics]
    elif state is TrialState.PRUNED and reports:
        values = [reports[max(reports)]]
    return Told(state, values, reports)


def _state(record: TrialRecord, metrics: Sequence[str]) -> TrialState:
    if not counts(record.state):
        return TrialState.FAIL
    # One that broke a constraint at its end has been trained; one that broke it before distillation has not.
    trained = bool(record.reports) and set(metrics) <= record.values.keys()
    whole = record.state == "complete" or (record.state == "infeasible" and trained)
    return TrialState.COMPLETE if whole else TrialState.PRUNED


def silence() -> None:
    """Keep Optuna's own log lines from a screen that pdsearch draws."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
