"""How is one point of the space sampled? Parameter by parameter, in order, conditions respected."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import optuna

from pdsearch.space import Parameter

__all__ = ["points_of", "suggest"]


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


def points_of(parameters: Sequence[Parameter], *, limit: int) -> list[dict[str, Any]] | None:
    """Return every point of a space, in order; None if it has more than the limit, or a continuous range."""
    points: list[dict[str, Any]] = [{}]
    for parameter in parameters:
        values = _values(parameter)
        if values is None or len(points) > limit:
            return None
        points = [
            {**point, parameter.name: value} if parameter.active(point) else point
            for point in points
            for value in (values if parameter.active(point) else values[:1])
        ]
    return points if len(points) <= limit else None


def _values(parameter: Parameter) -> list[Any] | None:
    if parameter.kind == "categorical":
        return list(parameter.choices)
    step = parameter.step or (1 if parameter.kind == "int" else None)
    if step is None or parameter.low is None or parameter.high is None:
        return None
    count = math.floor((parameter.high - parameter.low) / step + 1e-9) + 1
    values = [parameter.low + number * step for number in range(count)]
    return [int(value) for value in values] if parameter.kind == "int" else values
