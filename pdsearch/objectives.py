"""What a study is after: its objectives and constraints, and what they make of a trial that has ended.

The sampler, early stopping, confirmation, ranking, fronts, reports and exports ask here what is feasible, what is
better and what counts, so that no two of them can disagree.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = ["VAL_ACCURACY", "Aims", "Constraint", "Objective", "better_goal", "counts", "weighed"]

VAL_ACCURACY = "student.val_accuracy"
"""In [0, 1]; the metric that is measured after every epoch, hence the one that trials are stopped by."""


def better_goal(metric: str) -> str:
    """Return the direction of a metric where nobody gives one: "maximize" an accuracy, "minimize" anything else."""
    return "maximize" if metric == VAL_ACCURACY else "minimize"


def weighed(value: float, goal: str) -> float:
    """Return a value turned so that more is better."""
    return value if goal == "maximize" else -value


def counts(state: str) -> bool:
    """Say whether a trial that ended so is one of `search.trials`: any but one that failed."""
    return state in ("complete", "stopped", "infeasible")


@dataclass(frozen=True)
class Objective:
    """One thing to optimise; goal is "maximize" or "minimize"."""

    metric: str
    goal: str


@dataclass(frozen=True)
class Constraint:
    """A limit: metric `op` bound, op being "<=" or ">="."""

    metric: str
    op: str
    bound: float

    FORM: ClassVar[re.Pattern[str]] = re.compile(r"\s*([A-Za-z_.]{1,64})\s*(<=|>=)\s*(\S{1,64})\s*")

    @classmethod
    def read(cls, text: str) -> "Constraint":
        """Return what `str` wrote.

        Raises:
            ValueError: It is no constraint.
        """
        match = cls.FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no constraint")
        metric, op, bound = match.groups()
        return cls(metric, op, float(bound))

    def excess(self, value: float) -> float:
        """Return by how much a value breaks the limit; at most 0 where it holds."""
        return value - self.bound if self.op == "<=" else self.bound - value

    def holds(self, value: float) -> bool:
        """Say whether a measured value lies within the limit; one that is no number does not."""
        return value <= self.bound if self.op == "<=" else value >= self.bound

    def complaint(self, value: float) -> str:
        """Return in words that a value breaks the limit."""
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

    @classmethod
    def of(cls, space: Mapping[str, Any]) -> "Aims":
        """Return those of a space as `study.json` holds it; the usual ones where it holds none."""
        objectives = tuple(Objective(one["metric"], one["goal"]) for one in space.get("objectives", ()))
        constraints = tuple(map(Constraint.read, space.get("constraints", ())))
        return cls(objectives or cls.objectives, constraints)

    @property
    def metrics(self) -> frozenset[str]:
        """Every metric that an objective or a constraint names."""
        limited = (constraint.metric for constraint in self.constraints)
        return frozenset([*(objective.metric for objective in self.objectives), *limited])

    def broken(self, values: Mapping[str, float]) -> tuple[Constraint, ...]:
        """Return the constraints that measured values break.

        What was not measured breaks none: whatever is known before distillation was checked there.
        """
        return tuple(c for c in self.constraints if c.metric in values and not c.holds(values[c.metric]))

    def feasible(self, values: Mapping[str, float]) -> bool:
        """Say whether a trial of these values may be chosen: confirmed, ranked, exported.

        A trial that was stopped early is judged by its values at that epoch.
        """
        return not self.broken(values)

    def verdict(
        self, state: str, values: Mapping[str, float], reason: str | None = None
    ) -> tuple[str, str | None]:
        """Return the state of a sampled trial and why it has that: a whole one that breaks a constraint is infeasible.

        Args:
            state: As its worker, or an older version, left it.
            values: What was measured.
            reason: Why it is in that state.
        """
        found = self.broken(values) if state == "complete" else ()
        if not found:
            return state, reason
        return "infeasible", "; ".join(limit.complaint(values[limit.metric]) for limit in found)

    def merit(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return what feasible trials are ordered by, better = greater: the first objective, then the accuracy.

        Args:
            values: What was measured; a value that is missing is the worst.
        """
        first = self.objectives[0]
        best = weighed(values[first.metric], first.goal) if first.metric in values else -math.inf
        return best, values.get(VAL_ACCURACY, -math.inf)

    def distance(self, values: Mapping[str, float]) -> tuple[int, float]:
        """Return how far values are from being feasible: constraints broken, and by what share of their bounds."""
        found = self.broken(values)
        shares = (c.excess(values[c.metric]) / (abs(c.bound) or 1.0) for c in found)
        return len(found), math.fsum(shares)
