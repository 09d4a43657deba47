"""What every registered sampler keeps to; a new file under search/samplers/ is found by itself."""

from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from pdsearch.search.optuna_backend.convert import silence
from pdsearch.search.optuna_backend.sampler import made, samplers

POINTS = 12


@pytest.fixture(params=sorted(samplers))
def name(request: pytest.FixtureRequest) -> str:
    silence()
    found: str = request.param
    return found


def suggested(trial: optuna.Trial) -> None:
    """Ask for each kind of parameter, one of them under a condition."""
    trial.suggest_float("plain", -1, 1)
    trial.suggest_float("log", 1e-4, 1, log=True)
    trial.suggest_float("step", 0, 1, step=0.25)
    trial.suggest_int("whole", 1, 500, log=True)
    if trial.suggest_categorical("kind", ["a", "b", True]) == "a":
        trial.suggest_int("under", 0, 9)


def searched(name: str, directions: list[str], seed: int = 0) -> list[dict[str, Any]]:
    """Return the points of a study in which trials end in every way, each asked with a fresh sampler."""
    study = optuna.create_study(directions=[StudyDirection[direction.upper()] for direction in directions])
    for number in range(POINTS):
        study.sampler = made(name, study, seed=100 * seed + number)
        trial = study.ask()
        suggested(trial)
        if number % 4 == 3 and len(directions) == 1:
            trial.report(trial.params["plain"], 1)
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 4 == 2:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 4 != 1:  # Those stay: they run.
            study.tell(trial, [trial.params["plain"], trial.params["step"]][: len(directions)])
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("directions", [["maximize"], ["minimize", "maximize"]])
def test_it_proposes_points_and_the_same_ones_for_the_same_seeds(name: str, directions: list[str]) -> None:
    first, again, other = (searched(name, directions, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({point["plain"] for point in first}) == POINTS


def test_it_says_what_it_is(name: str) -> None:
    text = samplers.get(name).__doc__ or ""
    assert text.split("\n")[0].endswith(".")
    assert "Source:" in text
