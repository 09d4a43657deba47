"""Random search."""

import optuna
from optuna.samplers import BaseSampler, RandomSampler

from pdsearch.search.optuna_backend.sampler import sampler


@sampler("random")
def random(_study: optuna.Study, seed: int) -> BaseSampler:
    """Points drawn independently, ranges evenly on their own scale.

    Source:
        Bergstra, Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.
    """
    return RandomSampler(seed=seed)
