"""The points of a finite space, in order."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pdsearch.config.space import Parameter

__all__ = ["MOST_CONFIGURATIONS", "points_of"]

MOST_CONFIGURATIONS = 1_000
"""Limit of a space that is run exhaustively because there are no validation images to select by."""


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
    # In decimals, so that 0.2 + 2 * 0.2 is 0.6 and not slightly more.
    low, width = Decimal(str(parameter.low)), Decimal(str(step))
    values = [low + number * width for number in range(count)]
    return [int(value) if parameter.kind == "int" else float(value) for value in values]
