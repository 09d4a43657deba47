"""The trials stopped at a rung, and those they compete against."""

import math
from dataclasses import replace
from typing import Literal

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.pruners import SuccessiveHalvingPruner

from pdsearch.config import Halving
from pdsearch.objectives import Objective
from pdsearch.search.optuna_backend.pruners import Stopper, goes_on, rungs
from pdsearch.specs import DistillSpec, Recipe
from pdsearch.trial_record import State, TrialRecord
from tests.trial_records import SPEC, finished, reports

HALVING = Halving("student.val_accuracy", min_epochs=2, factor=3)
ACCURACY, SIZE = Objective("student.val_accuracy", "maximize"), Objective("student.params", "minimize")


@pytest.mark.parametrize(
    ("halving", "epochs", "expected"),
    [
        (HALVING, 27, (2, 6, 18)),
        (HALVING, 18, (2, 6)),
        (HALVING, 2, ()),
        (Halving("m", 1, 2), 4, (1, 2)),
        (None, 100, ()),
    ],
)
def test_rungs_are_a_factor_apart_and_before_the_last_epoch(
    halving: Halving | None, epochs: int, expected: tuple[int, ...]
) -> None:
    assert rungs(halving, epochs) == expected


GOALS: tuple[Literal["maximize", "minimize"], ...] = ("maximize", "minimize")
values = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=12)


@given(values=values, factor=st.integers(2, 5), goal=st.sampled_from(GOALS))
def test_one_rung_s_decisions_are_those_of_optuna_in_either_direction(
    values: list[float], factor: int, goal: Literal["maximize", "minimize"]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rule = SuccessiveHalvingPruner(min_resource=1, reduction_factor=factor)
    study = optuna.create_study(direction=goal, pruner=rule)
    for place, value in enumerate(values):
        trial = study.ask()
        trial.report(value, step=1)
        assert goes_on(value, values[:place], factor=factor, goal=goal) is not trial.should_prune()


def record(number: int, value: float, state: State = "complete") -> TrialRecord:
    spec = replace(SPEC, distill=DistillSpec(Recipe(epochs=9, lr=0.1)))
    return finished(number, state=state, reports=reports(value, value), spec=spec)


@pytest.mark.parametrize("objectives", [[ACCURACY], [SIZE], [SIZE, ACCURACY], [ACCURACY, SIZE]])
def test_the_higher_accuracy_goes_on_whatever_is_optimised(objectives: list[Objective]) -> None:
    """A study that minimises a size stopped its best trials, and one of several objectives stopped none."""
    stopper = Stopper(HALVING, objectives, [])
    stopped = [stopper.stops(str(place), 2, value) for place, value in enumerate((0.5, 0.1, 0.6, 0.3))]
    assert stopped == [False, True, False, True]


@pytest.mark.parametrize(
    ("state", "stopped"), [("complete", True), ("stopped", True), ("infeasible", True), ("failed", False)]
)
def test_trials_that_failed_do_not_compete(state: State, stopped: bool) -> None:
    before = [record(n, value, state) for n, value in enumerate((0.7, 0.8, 0.9))]
    assert Stopper(HALVING, [ACCURACY], before).stops("search-00003", 2, 0.5) is stopped


def test_a_running_trial_competes_until_it_fails() -> None:
    stopper = Stopper(HALVING, [ACCURACY], [])
    assert not stopper.stops("a", 2, 0.9)
    assert stopper.stops("b", 2, 0.8)
    stopper.leave("a")
    assert not stopper.stops("c", 2, 0.85)


def test_what_is_no_number_does_not_pass_and_beats_nobody() -> None:
    stopper = Stopper(HALVING, [ACCURACY], [])
    assert stopper.stops("a", 2, math.nan)
    assert not stopper.stops("b", 2, 0.1)


def test_without_a_rule_nothing_is_stopped() -> None:
    assert not Stopper(None, [ACCURACY], [record(0, 0.9)]).stops("b", 2, 0.1)
