"""Optuna distributions of a space's parameters, sampled in order, conditions respected."""

from collections.abc import Iterable

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from pdsearch.config import Parameter


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
