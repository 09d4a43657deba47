"""Does a history say what the study says, however often it looked, and does its window hold what it must?"""

import random
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from pdsearch.search.history import BEST, NEWEST, RUNNING, History


def study(**directions: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(**directions)


def some(kept: optuna.Study, drawn: random.Random) -> None:
    """Ask for a trial, and perhaps end it or one that was asked before, one way or another."""
    kept.ask()
    running = kept.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    number = drawn.choice(running).number
    match drawn.randrange(5):
        case 0:
            kept.tell(number, state=TrialState.FAIL)
        case 1:
            kept.tell(number, state=TrialState.PRUNED)
        case 2 | 3:
            kept.tell(number, [drawn.random() for _ in kept.directions])
        case _:
            kept.enqueue_trial({}, user_attrs={"retry_of": number})


def shown(seen: History) -> list[int]:
    """Return the numbers of the trials that a sampler sees."""
    window = seen.window()
    numbers = [trial.number for trial in (*window.open, *window.bad)]
    assert len(set(numbers)) == len(numbers)
    for part in window:
        assert [trial.number for trial in part] == sorted(trial.number for trial in part)
    return sorted(numbers)


@pytest.mark.parametrize("newest", [20, NEWEST])
@pytest.mark.parametrize("directions", [["maximize"], ["minimize", "maximize"]])
def test_often_or_once_it_sees_the_same(directions: list[str], newest: int) -> None:
    drawn, kept = random.Random(0), study(directions=directions)
    often = History(kept, newest=newest)
    for _ in range(500):
        some(kept, drawn)
        often.look()
    once = History(kept, newest=newest).look()
    assert shown(often) == shown(once)
    assert [t.number for t in often.window().bad] == [t.number for t in once.window().bad]
    for seen in (often, once):
        states = [trial.state for trial in kept.trials]
        assert seen.finished == sum(state in (TrialState.COMPLETE, TrialState.PRUNED) for state in states)
        assert seen.waiting == [n for n, state in enumerate(states) if state is TrialState.WAITING]
        assert seen.asked == often.asked


def test_the_window_holds_the_best_the_newest_and_those_that_run() -> None:
    kept, count = study(direction="maximize"), NEWEST + 200
    for number in range(count):
        kept.add_trial(create_trial(value=-number))
    running = [kept.ask().number for _ in range(RUNNING + 5)]
    assert shown(History(kept).look()) == [*range(BEST), *range(count - NEWEST, count), *running[5:]]


def test_none_that_may_be_good_is_among_the_bad_ones() -> None:
    kept = study(direction="minimize")
    for number in range(200):
        running = kept.ask()
        if number % 2:
            kept.tell(running, abs(number - 100))
        elif number % 4:
            kept.tell(running, state=TrialState.PRUNED)
        window = History(kept, newest=50).look().window()
        whole = sorted((abs(n - 100), n) for n in range(1, number + 1, 2))[:BEST]
        open_numbers = {trial.number for trial in window.open}
        assert open_numbers >= {n for _, n in whole}
        assert not window.bad or len(whole) == BEST


def test_a_broken_constraint_is_not_among_the_best() -> None:
    kept = study(direction="maximize")
    kept.add_trial(create_trial(value=9, constraints={"size": 1.0}))
    for _ in range(NEWEST):
        kept.add_trial(create_trial(value=0))
    assert shown(History(kept).look()) == [*range(1, NEWEST + 1)]


def test_failures_are_those_with_a_reason_of_their_own() -> None:
    kept = study()
    for reason in ({}, {"reason": "interrupted"}, {"reason": "diverged"}):
        kept.add_trial(create_trial(state=TrialState.FAIL, user_attrs=reason))
    assert History(kept).look().failed == 1


def test_a_retry_stands_where_its_first_try_stood() -> None:
    kept = study()
    for _ in range(3):
        kept.tell(kept.ask(), state=TrialState.FAIL)
    assert History(kept).look().asked == 3
    kept.enqueue_trial({}, user_attrs={"retry_of": 1})
    seen = History(kept).look()
    assert seen.asked == 1
    kept.tell(kept.ask(), state=TrialState.FAIL)
    assert seen.look().asked == 3
