"""Does our TPE, which knows ended trials by heart, propose what Optuna's own proposes when shown the same trials?

Whatever a new Optuna changes in the private methods that ours overrides shows here as another point.
"""

import inspect
import math
import random
import warnings
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from pdsearch.search import sampler as ours
from pdsearch.search.history import History
from pdsearch.search.sampler import WindowedTPE, silence

NEWEST = (60, 60, 60, 10**9)
"""Shown of each study: all, or so few that short ones pass the window as well."""


class Shown(TPESampler):
    """Optuna's TPE, shown a window of Optuna's own trials, with as many good ones as ours takes."""

    def __init__(self, history: History, window: list[FrozenTrial], seed: int) -> None:
        super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._shown = window
        if not history.several:
            self._gamma = lambda _: max(1, min(math.ceil(0.1 * history.whole), 25))

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> Any:
        return super().infer_relative_search_space(self._of(study), trial)

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: Any) -> Any:
        return super().sample_relative(self._of(study), trial, search_space)

    def sample_independent(self, study: Any, trial: FrozenTrial, *parameter: Any) -> Any:
        return super().sample_independent(self._of(study), trial, *parameter)

    def _of(self, study: optuna.Study) -> Any:
        return ours._Glimpse(study, [*self._shown])


def suggested(trial: optuna.Trial) -> float:
    """Ask for each kind of parameter, some of them under a condition."""
    kind = trial.suggest_categorical("kind", ["a", "b", None, 1.5])
    value = trial.suggest_float("plain", -1, 1) + math.log(trial.suggest_float("log", 1e-4, 1, log=True))
    value += trial.suggest_float("step", 0, 1, step=0.25) + trial.suggest_int("whole", -3, 3)
    value += trial.suggest_int("even", 2, 10, step=2) + trial.suggest_int("many", 1, 500, log=True) / 100
    if kind in ("a", 1.5):
        value += trial.suggest_float("under", 0, 1) + trial.suggest_categorical("other", [True, False])
    if kind == 1.5 and trial.params["whole"] > 0:
        value += trial.suggest_int("deep", 0, 9)
    return value


def grown(drawn: random.Random, directions: Any, *, trials: int, whole: float) -> optuna.Study:
    """Return a study in which trials end out of order, one way or another, and some run."""
    silence()
    study = optuna.create_study(directions=directions, sampler=RandomSampler(seed=drawn.randrange(10**6)))
    running: list[tuple[optuna.Trial, float]] = []
    for _ in range(trials):
        trial = study.ask()
        running.append((trial, suggested(trial)))
        if drawn.random() < 0.9:
            end(study, *running.pop(drawn.randrange(len(running))), drawn, whole)
    with warnings.catch_warnings():  # One that runs and has said so far only what it was given together.
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.sampler = TPESampler(seed=0, multivariate=True, group=True, constant_liar=True)
    study.ask()
    return study


def end(study: optuna.Study, trial: optuna.Trial, value: float, drawn: random.Random, whole: float) -> None:
    values = [round(value), *(drawn.random() for _ in study.directions[1:])]  # Ties among the first ones.
    if drawn.random() < 0.2:
        trial.set_constraint("size", drawn.choice([-1.0, 0.0, 0.5, 2.0]))
    if drawn.random() < whole:
        study.tell(trial, values)
    elif drawn.random() < 0.1:
        study.tell(trial, state=TrialState.FAIL)
    else:
        for step in range(drawn.randrange(3) if len(values) == 1 else 0):
            trial.report(value if drawn.random() < 0.9 else math.nan, step)
        study.tell(trial, state=TrialState.PRUNED)


def windows(study: optuna.Study, history: History) -> list[FrozenTrial]:
    """Return Optuna's own trials of what a history shows."""
    seen, trials = history.look().window(), study.get_trials(deepcopy=False)
    return [trials[number] for number in sorted(trial.number for trial in [*seen.open, *seen.bad])]


def proposed(study: optuna.Study, chosen: BaseSampler) -> dict[str, Any]:
    """Ask, and leave the study as it was for another sampler."""
    study.sampler = chosen
    trial = study.ask()
    suggested(trial)
    found = trial.params
    study.tell(trial, state=TrialState.FAIL)
    return found


MANY = [
    (directions, whole, trials)
    for directions in (["minimize"], ["maximize"], ["minimize", "maximize"])
    for whole in (0.9, 0.15)
    for trials in (5, 40, 400)
]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(("directions", "whole", "trials"), MANY)
def test_it_proposes_what_optuna_proposes_of_the_same_trials(
    directions: list[str], whole: float, trials: int
) -> None:
    for seed, newest in enumerate(NEWEST):
        study = grown(random.Random(seed), directions, trials=trials, whole=whole)
        history = History(study, newest=newest)
        for ask in range(3):
            window = windows(study, history)
            theirs = proposed(study, Shown(history, window, seed=ask))
            found = proposed(study, WindowedTPE(history, seed=ask))
            assert found == theirs, f"study {seed}, ask {ask}"


@pytest.mark.parametrize("name", ["_get_internal_repr", "_build_parzen_estimator"])
def test_what_it_overrides_is_what_optuna_calls(name: str) -> None:
    overridden = getattr(TPESampler, name, None)
    assert overridden is not None, f"Optuna has no {name} any more: see WindowedTPE"
    assert [*inspect.signature(overridden).parameters] == [
        *inspect.signature(getattr(WindowedTPE, name)).parameters
    ]
    assert f"self.{name}(" in inspect.getsource(TPESampler), f"Optuna no longer calls {name}: see WindowedTPE"
