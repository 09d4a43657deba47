"""Pruning schedules: map the requested ratio to a sparsity per round."""

import math

from pdsearch.errors import ConfigError
from pdsearch.specs import PruneSpec

KEPT_PER_ROUND = 0.8
"""A geometric round keeps 80 % of what remains, as lottery tickets and arXiv 2109.14960's code do."""

SCHEDULES = ("geometric", "linear", "exponential", "one_shot")
MAX_ROUNDS = 1000


def targets(spec: PruneSpec) -> tuple[float, ...]:
    """Return the cumulative sparsity after each round, strictly increasing, each in (0, 1).

    - geometric: 1 - 0.8^k for k = 1, 2, ... up to the round nearest to the ratio; `rounds` is not used.
      Ratios that mean one round share it: 36, 59 and 79 % are the rounds 2, 4 and 7 of one chain.
    - linear: the ratio in `rounds` equal steps.
    - exponential: the density falls by the same factor in each of `rounds` rounds.
    - one_shot: the ratio at once; `rounds` is not used.

    Raises:
        ConfigError: ratio outside (0, 1), rounds outside [1, 1000], or an unknown schedule.
    """
    if not 0 < spec.ratio < 1:
        raise ConfigError(
            f"prune.ratio must be in (0, 1), got {spec.ratio}", hint="for no pruning: prune.method: none"
        )
    if not 1 <= spec.rounds <= MAX_ROUNDS:
        raise ConfigError(f"prune.rounds must be in [1, {MAX_ROUNDS}], got {spec.rounds}")
    rounds = range(1, spec.rounds + 1)
    if spec.schedule == "geometric":
        return tuple(geometric_sparsity(k) for k in range(1, geometric_round(spec.ratio) + 1))
    if spec.schedule == "linear":
        return (*(spec.ratio * k / spec.rounds for k in rounds[:-1]), spec.ratio)
    if spec.schedule == "exponential":
        return (*(1 - (1 - spec.ratio) ** (k / spec.rounds) for k in rounds[:-1]), spec.ratio)
    if spec.schedule == "one_shot":
        return (spec.ratio,)
    raise ConfigError(f"unknown prune.schedule {spec.schedule!r}", hint=f"known: {', '.join(SCHEDULES)}")


def geometric_sparsity(k: int) -> float:
    """Return the sparsity after k geometric rounds, 1 - 0.8^k."""
    return 1 - KEPT_PER_ROUND**k


def geometric_round(ratio: float) -> int:
    """Return the round k >= 1 whose sparsity is nearest to a ratio in (0, 1); of two, the earlier."""
    k = max(1, math.floor(math.log(1 - ratio) / math.log(KEPT_PER_ROUND)))
    return min((k, k + 1), key=lambda k: abs(geometric_sparsity(k) - ratio))
