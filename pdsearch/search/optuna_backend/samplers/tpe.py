"""The tree-structured Parzen estimator, as Optuna has it, with another number of good trials."""

import math
import warnings

import optuna
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import TrialState

from pdsearch.search.optuna_backend.sampler import sampler

MOST_GOOD = 25


@sampler("tpe")
def tpe(study: optuna.Study, seed: int) -> BaseSampler:
    """Points where good trials lie denser than others, all parameters together.

    Good is a tenth of the trials that ran to their end, at most 25. Optuna takes a tenth of all that ended: where most
    are stopped early, these are more than ran to their end, and whatever started fast is good, however it ended.

    Source:
        Bergstra, Bardenet, Bengio, Kegl, "Algorithms for hyper-parameter optimization", NeurIPS 2011; it is Optuna's
        TPESampler.
    """

    def good(_ended: int) -> int:
        whole = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
        return max(1, min(math.ceil(0.1 * whole), MOST_GOOD))

    with warnings.catch_warnings():  # Optuna 6 will have no `gamma`; pyproject.toml asks for Optuna 5.
        warnings.filterwarnings("ignore", "`gamma` has been deprecated", FutureWarning)
        return TPESampler(
            seed=seed,
            multivariate=True,
            group=True,  # A parameter under a condition is modelled only with trials that have it.
            constant_liar=True,
            gamma=None if len(study.directions) > 1 else good,
        )
