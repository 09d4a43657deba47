"""How is one point of the space sampled? Parameter by parameter, in order, conditions respected."""

from collections.abc import Iterable
from typing import Any

import optuna

from pdsearch.space import Parameter

__all__ = ["suggest"]


def suggest(trial: optuna.Trial, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return sampled values by dotted name; a parameter whose condition does not hold is left out."""
    values: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.active(values):
            values[parameter.name] = _sample(trial, parameter)
    return values


def _sample(trial: optuna.Trial, parameter: Parameter) -> Any:
    if parameter.kind == "categorical":
        return trial.suggest_categorical(parameter.name, list(parameter.choices))
    low, high, step = parameter.low, parameter.high, parameter.step
    if low is None or high is None:
        raise ValueError(f"{parameter.name} has no range")
    if parameter.kind == "int":
        return trial.suggest_int(parameter.name, int(low), int(high), step=int(step or 1), log=parameter.log)
    return trial.suggest_float(parameter.name, low, high, step=step, log=parameter.log)
