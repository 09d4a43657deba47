"""Variance of means over crossed random factors (teacher seeds, student seeds, images), and its moderation.

All functions take arrays whose leading axes are independent cases, so that a simulation of thousands of studies and the
ranking of one run the same code.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma, psi, stdtr, stdtrit

LEVEL = 0.95

Floats: TypeAlias = NDArray[np.float64]
Source: TypeAlias = tuple[str, ...]
"""The random factors whose effect, or whose interaction, varies: ("seed",), ("seed", "image")."""

_NONE = 1e-9
"""Excess of the variances' spread over chance that counts as none."""


@dataclass(frozen=True)
class SourceSpread:
    """The spread of one source.

    Args:
        variance: Sample variance of its effects on the scale of one level, (...).
        df: Degrees of freedom, (...) or one number.
        levels: Number of levels, the product over the source's factors.
    """

    variance: Floats
    df: Floats
    levels: int


def spread(values: Floats, factors: Sequence[str]) -> dict[Source, SourceSpread]:
    """Return the analysis of variance of complete crossed samples without replication.

    Source: Searle, Casella, McCulloch, "Variance Components" (1992), sections 4.2 and 4.6.

    Args:
        values: (..., L1, ..., Lk), the last k axes being random factors of two levels or more.
        factors: Their k names.
    """
    count = len(factors)
    axes = tuple(range(-count, 0))
    effects: dict[Source, Floats] = {}
    parts: dict[Source, SourceSpread] = {}
    for chosen in (chosen for size in range(count + 1) for chosen in combinations(axes, size)):
        source = tuple(factors[axis] for axis in chosen)
        others = tuple(axis for axis in axes if axis not in chosen)
        effect = values.mean(axis=others, keepdims=True) if others else values
        for contained, known in effects.items():
            effect = effect - known if set(contained) < set(source) else effect
        effects[source] = effect
        if source:
            sizes = [values.shape[axis] for axis in chosen]
            df = math.prod(size - 1 for size in sizes)
            squares = np.square(effect).sum(axis=axes)
            parts[source] = SourceSpread(squares / df, np.asarray(float(df)), math.prod(sizes))
    return parts


def combined(parts: Mapping[Source, SourceSpread]) -> tuple[Floats, Floats]:
    """Return the variance of the overall mean and its degrees of freedom by Satterthwaite's approximation.

    The mean squares of single factors add up, and those of interactions, contained in several of them, are subtracted
    as often as they were counted too much. The variance is at least that of each single factor.

    Source: Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
        (1946).
    """
    total: Floats = np.zeros(1)
    weights: Floats = np.zeros(1)
    for source, part in parts.items():
        share = part.variance / part.levels
        total = total + (share if len(source) % 2 else -share)
        weights = weights + np.square(share) / part.df
    single = [part for source, part in parts.items() if len(source) == 1]
    for part in single:
        total = np.maximum(total, part.variance / part.levels)
    least = np.min(np.broadcast_arrays(*(part.df for part in single)), axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(weights > 0, np.square(total) / weights, least)
    return total, np.maximum(df, least)


def moderated(
    variances: Floats, df: Floats, most: Floats, *, informs: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """Return variances, none smaller than it was, that borrow strength from their family, along the last axis.

    A prior's degrees of freedom and scale are estimated from the family itself: variances that differ no more than
    chance makes them are pooled, others keep their own. A variance that is greater than its shrunk one is kept,
    because a configuration whose students vary more than the others' would otherwise be taken for sure of itself too
    often (docs/results/truth.md). Zeros, and what cannot gain degrees of freedom, are returned unchanged.

    Source: Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
    experiments", Statistical Applications in Genetics and Molecular Biology 3 (2004), section 6.2.

    Args:
        variances: (..., K), at least 0.
        df: Their degrees of freedom, broadcast to (..., K).
        most: The most degrees of freedom each may get, likewise.
        informs: (K,), whether each is one of the family that the prior is estimated from; None: all are.

    Returns:
        The variances and their degrees of freedom, (..., K).
    """
    df = np.broadcast_to(df, variances.shape)
    known = variances > 0
    family = known if informs is None else known & informs
    count = family.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(family, np.log(variances) - psi(df / 2) + np.log(df / 2), 0.0)
        centre = logs.sum(axis=-1, keepdims=True) / count
        off = np.where(family, np.square(logs - centre), 0.0).sum(axis=-1, keepdims=True)
        expected = np.where(family, polygamma(1, df / 2), 0.0).sum(axis=-1, keepdims=True) / count
        excess = off / (count - 1) - expected
        prior_df = 2 * _inverse_trigamma(np.where(excess > _NONE, excess, _NONE))
        prior = np.exp(centre + psi(prior_df / 2) - np.log(prior_df / 2))
        shrunk = (prior_df * prior + df * variances) / (prior_df + df)
    gains = known & (count > 1) & (most > df)
    gained = np.minimum(prior_df + df, most)
    return np.where(gains, np.maximum(variances, shrunk), variances), np.where(gains, gained, df)


def _inverse_trigamma(values: Floats) -> Floats:
    """Return x with trigamma(x) = value, by Newton's method on its reciprocal, which is nearly linear."""
    x = 0.5 + 1 / values
    for _ in range(50):
        gamma = polygamma(1, x)
        step = gamma * (1 - gamma / values) / polygamma(2, x)
        x = x + step
        if np.max(-step / x, initial=0.0) < 1e-8:
            break
    return x


def half_width(variance: Floats, df: Floats) -> Floats:
    """Return half the 95 % interval of a mean."""
    return np.asarray(stdtrit(df, 0.5 + LEVEL / 2) * np.sqrt(variance))


def p_value(mean: Floats, variance: Floats, df: Floats) -> Floats:
    """Return the two-sided p-value that a mean is zero; NaN where its variance is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stdtr(df, -np.abs(mean) / np.sqrt(variance))
    return np.where(variance > 0, p, np.nan)


def holm(p_values: Floats) -> Floats:
    """Adjust the p-values of a family, along the last axis, so that 5 % bounds the chance of any false claim in it.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6 (1979).

    Args:
        p_values: (..., K); NaN for a test that was not made, which stays and does not count.
    """
    order = np.argsort(p_values, axis=-1)  # NaN last
    ranked = np.take_along_axis(p_values, order, axis=-1)
    made = np.sum(~np.isnan(p_values), axis=-1, keepdims=True)
    scaled = np.minimum(1.0, ranked * (made - np.arange(p_values.shape[-1])))
    grown = np.where(np.isnan(ranked), np.nan, np.maximum.accumulate(np.nan_to_num(scaled, nan=0.0), axis=-1))
    adjusted = np.empty_like(p_values)
    np.put_along_axis(adjusted, order, grown, axis=-1)
    return adjusted
