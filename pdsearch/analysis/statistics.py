"""Means, paired differences, their t-intervals, and Holm's correction for several comparisons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

__all__ = ["Estimate", "Gain", "holm", "mean_interval", "p_value", "paired_gain"]

LEVEL = 0.95

EQUAL = 1e-9
"""Differences of accuracies that are closer than this are equal up to rounding."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n independent values.

    Args:
        n: Number of values.
        mean: Their mean.
        low: Lower end of the 95 % t-interval of the mean; None where n < 2, or where all values are equal.
        high: Upper end.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def all_equal(self) -> bool:
        """Whether there are several values and all are equal, so that their spread is unknown, not zero."""
        return self.n > 1 and self.low is None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, if there is one."""
        return None if self.high is None else self.high - self.mean


@dataclass(frozen=True)
class Gain:
    """A mean paired difference.

    Args:
        estimate: The mean difference over pairs, with its interval.
        p: Two-sided p-value of the paired t-test; None where n < 2, or where all differences are equal.
        p_holm: The same, adjusted for the family of gains it is shown with.
        unpaired: Number of values of the first side without a partner.
    """

    estimate: Estimate
    p: float | None = None
    p_holm: float | None = None
    unpaired: int = 0


def mean_interval(values: Sequence[float]) -> Estimate:
    """Return the mean and its 95 % interval by Student's t with n - 1 degrees of freedom.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908). One value has no interval. Equal values have
    none either: a few accuracies over a few hundred images can coincide by chance, and a spread of zero would make
    any claim about them certain.

    Raises:
        ValueError: There are no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values")
    mean = math.fsum(values) / n
    if _are_equal(values):
        return Estimate(n, mean)
    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2)) * _standard_error(values, mean)
    return Estimate(n, mean, mean - half, mean + half)


def paired_gain(differences: Sequence[float], *, unpaired: int = 0) -> Gain | None:
    """Return the mean of paired differences with its interval and p-value, or None if there are no pairs.

    Equal differences have neither interval nor p-value.

    Args:
        differences: First minus second, one for each seed both have.
        unpaired: Number of seeds the second lacks, to be reported.
    """
    if not differences:
        return None
    return Gain(mean_interval(differences), p_value(differences), unpaired=unpaired)


def p_value(differences: Sequence[float]) -> float | None:
    """Return the two-sided p-value that the mean difference is zero; None for fewer than two, or equal ones."""
    if _are_equal(differences):
        return None
    n = len(differences)
    mean = math.fsum(differences) / n
    error = _standard_error(differences, mean)
    return float(2 * stdtr(n - 1, -abs(mean) / error))


def _are_equal(values: Sequence[float]) -> bool:
    return max(values, default=0.0) - min(values, default=0.0) <= EQUAL


def _standard_error(values: Sequence[float], mean: float) -> float:
    n = len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of a family so that 5 % bounds the chance of any false claim among them.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979).

    Args:
        p_values: None for a test that was not made; it stays None and does not count.
    """
    adjusted: list[float | None] = [None] * len(p_values)
    made = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    highest = 0.0
    for step, (p, place) in enumerate(made):
        highest = max(highest, min(1.0, p * (len(made) - step)))
        adjusted[place] = highest
    return adjusted
