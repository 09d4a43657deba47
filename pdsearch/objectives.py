"""Objectives and constraints of a study, and the state and order they give to ended trials.

The sampler, early stopping, confirmation, ranking, fronts, reports and exports all decide here what is feasible, what
is better and what counts, so that no two of them can disagree.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge
from typing import ClassVar, Literal, TypeAlias

Goal: TypeAlias = Literal["maximize", "minimize"]

VAL_ACCURACY = "student.val_accuracy"
"""In [0, 1]; the only metric measured after every epoch, hence the one that early stopping uses."""


def better_goal(metric: str) -> Goal:
    """Return the default direction of a metric: "maximize" for an accuracy, "minimize" for anything else."""
    return "maximize" if metric == VAL_ACCURACY else "minimize"


def weighed(value: float, goal: str) -> float:
    """Return a value with its sign set so that greater is better."""
    return value if goal == "maximize" else -value


def counts_as_trial(state: str) -> bool:
    """Return whether a trial in this final state counts towards `search.trials`: any but a failed one."""
    return state in ("complete", "stopped", "infeasible")


def front(points: Sequence[Sequence[float]], goals: Sequence[str]) -> list[int]:
    """Return the indices of the points that no other dominates, in their order; equal points are all kept.

    A point dominates another if it is at least as good in every objective and better in one.

    Args:
        points: One row of finite values per point.
        goals: "maximize" or "minimize", one for each value of a row.
    """
    values = [tuple(map(weighed, point, goals)) for point in points]
    kept: list[int] = []
    # Only a point that comes before in this order, and is kept, can dominate one.
    for place in sorted(range(len(values)), key=lambda place: values[place], reverse=True):
        value = values[place]
        if not any(values[k] != value and all(map(ge, values[k], value)) for k in kept):
            kept.append(place)
    return sorted(kept)


FRONT_SHARE, MARGIN = 0.01, 0.1


def most_hypervolume(
    points: Sequence[Sequence[float]], goals: Sequence[str], most: int, *, all_of: bool
) -> list[int]:
    """Return the indices of the points that make up most of a front: each next one adds the most hypervolume.

    Objectives count by their range on the front; the volume reaches a tenth of that beyond the worst values, so that
    the ends of the front count (Guerreiro, Fonseca, Paquete, "The Hypervolume Indicator", 2021, sections 2 and 5).

    Args:
        points: As in `front`; those on the front are chosen from.
        goals: See there.
        most: Number of points at most.
        all_of: As many as that; if not, only those that add a hundredth of what the chosen ones have together.
    """
    left = front(points, goals)
    values = {place: [*map(weighed, points[place], goals)] for place in left}
    spans = [
        (min(column), (max(column) - min(column)) or 1.0) for column in zip(*values.values(), strict=True)
    ]
    scaled = {
        place: tuple((v - low) / span + MARGIN for v, (low, span) in zip(value, spans, strict=True))
        for place, value in values.items()
    }
    chosen: list[int] = []
    volume = 0.0
    while left and len(chosen) < most:
        held = [scaled[place] for place in chosen]
        with_each = {place: _hypervolume([*held, scaled[place]]) for place in left}
        best = max(left, key=lambda place: with_each[place])
        if not all_of and with_each[best] - volume < FRONT_SHARE * with_each[best]:
            break
        chosen.append(best)
        left.remove(best)
        volume = with_each[best]
    return chosen


def _hypervolume(points: Sequence[tuple[float, ...]]) -> float:
    """Return the volume between the origin and some points, each value at least 0: exact, slice by slice."""
    if len(points[0]) == 1:
        return max(point[0] for point in points)
    ordered = sorted(points, key=lambda point: point[-1], reverse=True)
    below = [*(point[-1] for point in ordered[1:]), 0.0]
    slices = (
        (point[-1] - under) * _hypervolume([inner[:-1] for inner in ordered[:count]])
        for count, (point, under) in enumerate(zip(ordered, below, strict=True), start=1)
        if point[-1] > under
    )
    return math.fsum(slices)


@dataclass(frozen=True)
class Objective:
    """One thing to optimise."""

    extensible: ClassVar[bool] = True
    metric: str
    goal: Goal


@dataclass(frozen=True)
class Constraint:
    """A limit: metric `op` bound, op being "<=" or ">="."""

    metric: str
    op: str
    bound: float

    FORM: ClassVar[re.Pattern[str]] = re.compile(r"\s*([A-Za-z_.]{1,64})\s*(<=|>=)\s*(\S{1,64})\s*")

    @classmethod
    def read(cls, text: str) -> "Constraint":
        """Parse the text that `str` gives.

        Raises:
            ValueError: It is no constraint.
        """
        match = cls.FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no constraint")
        metric, op, bound = match.groups()
        return cls(metric, op, float(bound))

    def excess(self, value: float) -> float:
        """Return by how much a value exceeds the limit; at most 0 where the constraint holds."""
        return value - self.bound if self.op == "<=" else self.bound - value

    def holds(self, value: float) -> bool:
        """Return whether a measured value lies within the limit; NaN does not."""
        return value <= self.bound if self.op == "<=" else value >= self.bound

    def complaint(self, value: float) -> str:
        """Return a message saying that a value breaks the limit."""
        return f"{self.metric} = {value:.6g}, not {self.op} {self.bound:.6g}"

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {self.bound!r}"


@dataclass(frozen=True)
class Aims:
    """The objectives and constraints of a study.

    Args:
        objectives: At least one; the first decides wherever one order is needed.
        constraints: Limits, all of which must hold.
    """

    objectives: tuple[Objective, ...] = (Objective(VAL_ACCURACY, "maximize"),)
    constraints: tuple[Constraint, ...] = ()

    @property
    def metrics(self) -> frozenset[str]:
        """Every metric that an objective or a constraint names."""
        limited = (constraint.metric for constraint in self.constraints)
        return frozenset([*(objective.metric for objective in self.objectives), *limited])

    def broken(self, values: Mapping[str, float]) -> tuple[Constraint, ...]:
        """Return the constraints that measured values break.

        A metric that was not measured breaks none: those known before distillation were checked at that point.
        """
        return tuple(c for c in self.constraints if c.metric in values and not c.holds(values[c.metric]))

    def feasible(self, values: Mapping[str, float]) -> bool:
        """Return whether a trial with these values may be confirmed, ranked and exported.

        A trial that was stopped early is judged by its values at that epoch.
        """
        return not self.broken(values)

    def verdict(
        self, state: str, values: Mapping[str, float], reason: str | None = None
    ) -> tuple[str, str | None]:
        """Return a sampled trial's state and its reason: a complete one that breaks a constraint is infeasible.

        Args:
            state: As its worker, or an older version, recorded it.
            values: What was measured.
            reason: Reason of that state.
        """
        found = self.broken(values) if state == "complete" else ()
        if not found:
            return state, reason
        return "infeasible", "; ".join(limit.complaint(values[limit.metric]) for limit in found)

    def merit(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return the sort key of feasible trials, greater is better: the first objective, then the accuracy.

        Args:
            values: Measured values; a missing one counts as the worst.
        """
        first = self.objectives[0]
        best = weighed(values[first.metric], first.goal) if first.metric in values else -math.inf
        return best, values.get(VAL_ACCURACY, -math.inf)

    def standing(self, epochs: int, values: Mapping[str, float]) -> tuple[int, tuple[float, ...]]:
        """Return the sort key of trials of a search, greater is better: the epochs they reached, then their merit."""
        return epochs, self.merit(values)

    def distance(self, values: Mapping[str, float]) -> tuple[int, float]:
        """Return the distance from feasibility: number of broken constraints, and excess relative to their bounds."""
        found = self.broken(values)
        shares = (c.excess(values[c.metric]) / (abs(c.bound) or 1.0) for c in found)
        return len(found), math.fsum(shares)
