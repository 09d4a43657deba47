"""Optuna trials of records, and Optuna distributions of a space's parameters."""

from collections.abc import Iterable
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from pdsearch.config import Parameter, Space
from pdsearch.records.trial_record import AskedRecord, TrialRecord
from pdsearch.search.optuna_backend.outcome import INTERRUPTED, optuna_result


def as_trial(record: TrialRecord, space: Space) -> FrozenTrial:
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


def as_interrupted(record: AskedRecord, space: Space) -> FrozenTrial:
    """Return the Optuna trial of an asked record without a finished one: it will be asked again."""
    return create_trial(
        state=TrialState.FAIL,
        params=dict(record.params),
        distributions=_distributions(record, space),
        user_attrs={"key": record.key, "reason": INTERRUPTED},
    )


def agrees(trial: FrozenTrial, record: TrialRecord, space: Space) -> bool:
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


def _distributions(record: AskedRecord | TrialRecord, space: Space) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in space.parameters}
    return {name: distribution(known[name]) for name in record.params}


def _constraints(record: TrialRecord, space: Space) -> dict[str, float]:
    """Return by how much each constraint is broken; at most 0 where it holds."""
    found = {}
    for limit in space.constraints:
        if limit.metric in record.values:
            found[str(limit)] = limit.excess(record.values[limit.metric])
    return found


def suggest(trial: optuna.Trial, parameters: Iterable[Parameter]) -> dict[str, object]:
    """Return sampled values by dotted name; a parameter whose condition does not hold is left out."""
    values: dict[str, object] = {}
    for parameter in parameters:
        if parameter.active(values):
            values[parameter.name] = _sample(trial, parameter)
    return values


def distribution(parameter: Parameter) -> BaseDistribution:
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


def _sample(trial: optuna.Trial, parameter: Parameter) -> object:
    name, of = parameter.name, distribution(parameter)
    if isinstance(of, IntDistribution):
        return trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
    if isinstance(of, FloatDistribution):
        return trial.suggest_float(name, of.low, of.high, step=of.step, log=of.log)
    return trial.suggest_categorical(name, list(parameter.choices))
