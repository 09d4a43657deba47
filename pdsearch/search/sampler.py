"""Which sampler proposes the next point? A fresh one per ask, seeded by how many points were asked before.

A sampler that lived as long as its process would repeat its first points after a restart. Seeded like this, and because
TPE depends on the history alone, the sequence after a crash is the one there would have been (one trial at a time).
"""

import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from pdsearch.specs import derive_seed

__all__ = ["sampler"]


def sampler(name: str, *, seed: int, kind: str, asked: int) -> BaseSampler:
    """Return the sampler of the next ask.

    Args:
        name: "tpe" or "random".
        seed: The search's seed.
        kind: Kind of trials, so that baselines do not repeat the search's points.
        asked: Points asked so far, those asked again after an interruption not counted.
    """
    drawn = derive_seed(seed, "sampler", kind, asked) % 2**32
    if name == "random":
        return RandomSampler(seed=drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # group: a parameter under a condition is modelled only with trials that have it.
        return TPESampler(seed=drawn, multivariate=True, group=True, constant_liar=True)


def silence() -> None:
    """Keep Optuna's own log lines from a screen that pdsearch draws."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
