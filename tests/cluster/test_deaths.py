"""Does each death of a worker count once, and is it forgiven by a step ahead and by nothing else?"""

import time

import pytest

from pdsearch.cluster.deaths import Deaths
from pdsearch.events import Progress, Report


def epoch(number: int) -> list[Report]:
    return [Report(number, 9, 0.5, 1.0)]


def test_deaths_count_anew_only_after_a_step_further_than_before() -> None:
    deaths = Deaths()
    assert not deaths.recovered("t", epoch(1)), "it lost nothing yet"
    deaths.lose("t")
    assert deaths.behind == {"t"}
    assert not deaths.recovered("t", epoch(1)), "it repeats what it did before"
    assert deaths.recovered("t", epoch(2))
    assert deaths.behind == set()
    assert not deaths.recovered("t", epoch(3)), "one loss, forgiven once"


def test_every_training_of_a_trial_has_steps_of_its_own() -> None:
    deaths = Deaths()
    deaths.recovered("t", [Progress("teacher", "", 1, 9)])
    deaths.lose("t")
    assert not deaths.recovered("t", [Progress("teacher", "", 1, 9)])
    assert deaths.recovered("t", [Progress("prune", "round 1", 1, 9)])
    deaths.lose("t")
    assert deaths.recovered("t", [Progress("prune", "round 2", 1, 9)])


def test_what_is_no_epoch_is_no_step() -> None:
    deaths = Deaths()
    deaths.lose("t")
    assert not deaths.recovered("t", [Progress("data", "", 0, 0)])


def test_a_death_that_is_reported_again_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deaths, counted = Deaths(), []
    for at in (10.0, 10.0, 10.3, 12.5, 12.6, 20.0):
        now[0] = at
        counted.append(deaths.lose("t"))
    assert counted == [True, False, False, True, False, True]
    assert deaths.lose("u"), "another trial's"


def test_of_a_trial_that_ended_nothing_is_kept() -> None:
    deaths = Deaths()
    deaths.recovered("t", epoch(1))
    deaths.lose("t")
    deaths.forget("t")
    assert deaths.behind == set()
    assert deaths.lose("t"), "its death was another's"
    assert deaths.recovered("t", epoch(1)), "nor is its epoch known"
