"""Optuna trials of records, and Optuna distributions of a space's parameters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from pdsearch.objectives import VAL_ACCURACY, counts_as_trial
from pdsearch.records.trial_record import AskedRecord, TrialRecord

if TYPE_CHECKING:  # `verify` reads a study without the models and data that spaces know.
    from pdsearch.config import Parameter, Space

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


def as_trial(record: TrialRecord, space: "Space") -> FrozenTrial:
    """Return the Optuna trial of a finished record."""
    said = optuna_result(record, [objective.metric for objective in space.objectives])
    attributes = {"key": record.key}
    if said.state is TrialState.FAIL:
        attributes["reason"] = record.reason or "unknown"
    return create_trial(
        state=said.state,
        values=said.values,
        params=dict(record.params),
        distributions=_distributions(record, space),
        user_attrs=attributes,
        intermediate_values=said.reports,
        constraints=_constraints(record, space),
    )


def as_interrupted(record: AskedRecord, space: "Space") -> FrozenTrial:
    """Return the Optuna trial of an asked record without a finished one: it will be asked again."""
    return create_trial(
        state=TrialState.FAIL,
        params=dict(record.params),
        distributions=_distributions(record, space),
        user_attrs={"key": record.key, "reason": INTERRUPTED},
    )


def agrees(trial: FrozenTrial, record: TrialRecord, space: "Space") -> bool:
    """Return whether an Optuna trial agrees with its finished record; a running one may lack some reports."""
    expected = as_trial(record, space)
    if trial.params != expected.params:
        return False
    reported = expected.intermediate_values
    if (
        not expected.system_attrs.items() <= trial.system_attrs.items()
        and trial.state is not TrialState.RUNNING
    ):
        return False
    if trial.state is TrialState.RUNNING:
        return trial.intermediate_values.items() <= reported.items()
    return (trial.state, trial.values, trial.intermediate_values) == (
        expected.state,
        expected.values,
        reported,
    )


def _distributions(record: AskedRecord | TrialRecord, space: "Space") -> dict[str, BaseDistribution]:
    known = {parameter.name: parameter for parameter in space.parameters}
    return {name: distribution(known[name]) for name in record.params}


def _constraints(record: TrialRecord, space: "Space") -> dict[str, float]:
    """Return by how much each constraint is broken; at most 0 where it holds."""
    found = {}
    for limit in space.constraints:
        if limit.metric in record.values:
            found[str(limit)] = limit.excess(record.values[limit.metric])
    return found


def suggest(trial: optuna.Trial, parameters: "Iterable[Parameter]") -> dict[str, object]:
    """Return sampled values by dotted name; a parameter whose condition does not hold is left out."""
    values: dict[str, object] = {}
    for parameter in parameters:
        if parameter.active(values):
            values[parameter.name] = _sample(trial, parameter)
    return values


def distribution(parameter: "Parameter") -> BaseDistribution:
    """Return a parameter's Optuna distribution.

    Raises:
        ValueError: The parameter is a range without both ends.
    """
    if parameter.kind == "categorical":
        return CategoricalDistribution(list(parameter.choices))
    low, high, step = parameter.low, parameter.high, parameter.step
    if low is None or high is None:
        raise ValueError(f"{parameter.name} has no range")
    if parameter.kind == "int":
        return IntDistribution(int(low), int(high), step=int(step or 1), log=parameter.log)
    return FloatDistribution(low, high, step=step, log=parameter.log)


def _sample(trial: optuna.Trial, parameter: "Parameter") -> object:
    name, of = parameter.name, distribution(parameter)
    if isinstance(of, IntDistribution):
        return trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
    if isinstance(of, FloatDistribution):
        return trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)
    return trial.suggest_categorical(name, list(parameter.choices))
