"""Which sampler proposes the next point? A fresh one per ask, seeded by how many points were asked before.

A sampler that lived as long as its process would repeat its first points after a restart. Seeded like this, and because
TPE depends on the history alone, the sequence after a crash is the one there would have been (one trial at a time).
"""

import math
import warnings
from collections.abc import Container
from operator import attrgetter
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.trial import FrozenTrial, TrialState

from pdsearch.search.ended import Ended
from pdsearch.search.history import BEST, History, Shown, Window
from pdsearch.specs import derive_seed

__all__ = ["sampler"]


class _Glimpse:
    """A study that shows a window of its trials."""

    def __init__(self, study: optuna.Study, window: list[Shown]) -> None:
        self._whole, self._window = study, window

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[Shown]:
        del deepcopy, use_cache  # Samplers read; the trials are this process's own.
        return [trial for trial in self._window if states is None or trial.state in states]

    get_trials = _get_trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


class WindowedTPE(TPESampler):
    """TPE that learns from a window of a long study, so that an ask takes the same time at any length.

    It proposes what Optuna's own would if it were shown the same trials and told the same number of good ones. Two of
    Optuna's private methods are overridden for it; a contract test says so when a new Optuna changes them.

    Args:
        history: Of the study it will be asked about.
        seed: Of this ask.
    """

    def __init__(self, history: History, *, seed: int) -> None:
        # group: a parameter under a condition is modelled only with trials that have it.
        super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._history = history
        self._seen: Window | None = None
        if not history.several:
            self._gamma = self._good

    def _good(self, ended: int) -> int:
        """Return how many trials are good ones: a tenth of those that ran to their end, at most 25.

        Optuna takes a tenth of all that ended. Where most are stopped early, these are more than ran to their end:
        whatever started fast is good, however it ended, and the search stays there (docs/results/stopping.md).
        """
        del ended  # Optuna was shown those that may be good.
        return max(1, min(math.ceil(0.1 * self._history.whole), BEST))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the parameters to be sampled together."""
        # Optuna takes them from all trials, one by one, and only the first of each kind tells it anything.
        kinds = _first_of_each_kind(self._window())
        return super().infer_relative_search_space(cast("optuna.Study", _Glimpse(study, kinds)), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return their values."""
        return super().sample_relative(self._glimpse(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of a parameter that is sampled alone."""
        return super().sample_independent(self._glimpse(study), trial, param_name, param_distribution)

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, np.ndarray]:
        """Return the points of those trials that have all these parameters, as numbers by parameter.

        As Optuna does, which works all of them out at every ask; here only those that run are.
        """
        names, points = frozenset(search_space), []
        for trial in cast("list[Shown]", trials):
            if isinstance(trial, Ended):
                if names <= trial.names:
                    points.append(trial.inner)
            else:
                found = super()._get_internal_repr([trial], search_space, study)
                points += [{n: v.item() for n, v in found.items()} for _ in found[next(iter(names))]]
        return {name: np.asarray([point[name] for point in points]) for name in search_space}

    def _build_parzen_estimator(
        self,
        study: optuna.Study,
        search_space: dict[str, BaseDistribution],
        trials: list[FrozenTrial],
        handle_below: bool,
    ) -> _ParzenEstimator:
        """Return the density of the good trials, or of the bad ones, most of which Optuna was not shown."""
        if not handle_below:
            everyone = sorted([*trials, *self._window().bad], key=attrgetter("number"))
            trials = cast("list[FrozenTrial]", everyone)
        return super()._build_parzen_estimator(study, search_space, trials, handle_below)

    def _window(self) -> Window:
        if self._seen is None:
            self._seen = self._history.look().window()
        return self._seen

    def _glimpse(self, study: optuna.Study) -> optuna.Study:
        return cast("optuna.Study", _Glimpse(study, self._window().open))


def _first_of_each_kind(seen: Window) -> list[Shown]:
    """Return the first ended trial of each set of parameters, by number."""
    first: dict[frozenset[str], Ended] = {}
    for trial in [*seen.open, *seen.bad]:
        if isinstance(trial, Ended) and first.setdefault(trial.names, trial).number > trial.number:
            first[trial.names] = trial
    return sorted(first.values(), key=attrgetter("number"))


def sampler(name: str, *, seed: int, kind: str, history: History) -> BaseSampler:
    """Return the sampler of the next ask.

    Args:
        name: "tpe" or "random".
        seed: The search's seed.
        kind: Kind of trials, so that baselines do not repeat the search's points.
        history: Of the study; those asked again after an interruption do not change the seed.
    """
    drawn = derive_seed(seed, "sampler", kind, history.asked) % 2**32
    if name == "random":
        return RandomSampler(seed=drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return WindowedTPE(history, seed=drawn)


def silence() -> None:
    """Keep Optuna's own log lines from a screen that pdsearch draws."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
