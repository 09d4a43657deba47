"""Which trials may a search run, as far as their cost goes? Every point that differs in cost, with its share."""

import math
import random
from dataclasses import dataclass, replace
from typing import Any

from pdsearch.space import Parameter, Space
from pdsearch.space.points import points_of
from pdsearch.space.resolve import centre
from pdsearch.specs import TrialSpec
from pdsearch.stages.keys import student_key

__all__ = ["DIGITS", "Chance", "chances", "every_trial", "trials_of"]

COSTLY = ("data.", "teacher.", "train.teacher.", "train.recover.", "prune.")
ALSO_COSTLY = frozenset({"distill.loss", "student.model", "train.distill.epochs"})
DIGITS = 6
"""Sums of shares are exact to more decimals than these."""

MOST_POINTS, DRAWS = 5_000, 2_000
QUANTILES = 40
"""A range stands for as many of its values, evenly likely."""

Point = tuple[dict[str, Any], float]


@dataclass(frozen=True)
class Chance:
    """A trial that may be run.

    Args:
        spec: The trial; what does not matter to its cost has its middle value.
        share: Its share of all trials; the shares of a space sum to 1.
        twin: The same trial with other values of its continuous parameters: an artifact that the two do not have in
            common is shared with no other trial. None where nothing is continuous.
    """

    spec: TrialSpec
    share: float
    twin: TrialSpec | None = None


def trials_of(space: Space) -> tuple[list[Chance], int, bool]:
    """Return what the trials of a search may be, how many there will be, and whether every one of them is run."""
    whole = every_trial(space)
    return (chances(space), space.search.trials, False) if whole is None else (whole, len(whole), True)


def every_trial(space: Space) -> list[Chance] | None:
    """Return all trials of a space that has no more of them than are asked for; None for a larger one."""
    points = points_of(space.parameters, limit=min(space.search.trials, MOST_POINTS))
    if points is None:
        return None
    specs = {student_key(spec): spec for spec in map(space.resolve, points)}
    return [Chance(spec, 1 / len(specs)) for spec in specs.values()]


def chances(space: Space) -> list[Chance]:
    """Return what one trial may be when each parameter is drawn by itself, evenly over its range.

    A space of too many combinations is drawn from, always in the same way.
    """
    varied = _varied(space)
    points: list[Point] = [({}, 1.0)]
    for parameter in space.parameters:
        points = [drawn for point in points for drawn in _extended(point, parameter, varied)]
        if len(points) > MOST_POINTS:
            points = _drawn(space, varied)
            break
    return [_chance(space, point, share) for point, share in points]


def _varied(space: Space) -> set[str]:
    """Return the parameters that matter to cost, and those that their conditions name."""
    varied: set[str] = set()
    for parameter in reversed(space.parameters):  # conditions name earlier ones only
        if parameter.name.startswith(COSTLY) or parameter.name in ALSO_COSTLY | varied:
            varied |= {parameter.name, *parameter.when}
    return varied


def _extended(point: Point, parameter: Parameter, varied: set[str]) -> list[Point]:
    values, share = point
    if not parameter.active(values):
        return [point]
    if parameter.name not in varied:
        return [({**values, parameter.name: centre(parameter)}, share)]
    likely = _likely(parameter)
    return [({**values, parameter.name: value}, share / len(likely)) for value in likely]


def _likely(parameter: Parameter) -> list[Any]:
    """Return equally likely values: all choices, or the middles of equal parts of a range."""
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        return list(parameter.choices)
    if parameter.kind == "float" and parameter.step is None and parameter.name != "prune.ratio":
        return [centre(parameter)]
    unconditional = replace(parameter, when={})  # Whoever asks knows that it counts.
    if not parameter.log and (steps := points_of([unconditional], limit=QUANTILES)) is not None:
        return [point[parameter.name] for point in steps]
    return [_at(parameter, low, high, (n + 0.5) / QUANTILES) for n in range(QUANTILES)]


def _at(parameter: Parameter, low: float, high: float, share: float) -> float:
    if parameter.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    if parameter.step:
        value = low + parameter.step * round((value - low) / parameter.step)
    value = min(max(value, low), high)
    return round(value) if parameter.kind == "int" else value


def _drawn(space: Space, varied: set[str]) -> list[Point]:
    source = random.Random(0)
    points = []
    for _ in range(DRAWS):
        point: Point = ({}, 1.0)
        for parameter in space.parameters:
            point = source.choice(_extended(point, parameter, varied))
        points.append((point[0], 1 / DRAWS))
    return points


def _chance(space: Space, values: dict[str, Any], share: float) -> Chance:
    spec = space.resolve(values)
    others = {p.name: _other(p, values[p.name]) for p in space.parameters if _continuous(p, values, spec)}
    return Chance(spec, share, space.resolve({**values, **others}) if others else None)


def _continuous(parameter: Parameter, values: dict[str, Any], spec: TrialSpec) -> bool:
    """Say whether no two trials have a parameter's value in common; rounds make any ratio one of a few."""
    if parameter.name == "prune.ratio" and spec.prune is not None and spec.prune.schedule == "geometric":
        return False
    return parameter.name in values and parameter.kind == "float" and parameter.step is None


def _other(parameter: Parameter, value: float) -> float:
    low, high = parameter.low or 0.0, parameter.high or 0.0
    return high if value < low + 0.5 * (high - low) else low
