"""Map a finished record to Optuna's state, values and reports, whatever the space."""

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from pdsearch.objectives import VAL_ACCURACY, counts_as_trial
from pdsearch.records.trial_record import TrialRecord

INTERRUPTED = "interrupted"
"""Reason of an interrupted trial, which is asked again and is no failure."""

NAMES = {"search": "search", "baseline": "unpruned"}
"""Kind of trials -> name of their Optuna study."""


def reported(metrics: Sequence[str]) -> bool:
    """Return whether each epoch's accuracy is reported to a study: only where it is the sole objective."""
    return list(metrics) == [VAL_ACCURACY]


@dataclass(frozen=True)
class OptunaResult:
    """A finished record for Optuna: the state, values by objective or None, the objective at each epoch."""

    state: TrialState
    values: list[float] | None
    reports: dict[int, float]


def optuna_result(record: TrialRecord, metrics: Sequence[str]) -> OptunaResult:
    """Return a finished record's state, values and reports for a study of these objectives."""
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
    return OptunaResult(state, values, reports)


def _state(record: TrialRecord, metrics: Sequence[str]) -> TrialState:
    if not counts_as_trial(record.state):
        return TrialState.FAIL
    # One that broke a constraint at its end has been trained; one that broke it before distillation has not.
    trained = bool(record.reports) and set(metrics) <= record.values.keys()
    whole = record.state == "complete" or (record.state == "infeasible" and trained)
    return TrialState.COMPLETE if whole else TrialState.PRUNED


def silence() -> None:
    """Silence Optuna's own log lines, which would disturb pdsearch's screen."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
