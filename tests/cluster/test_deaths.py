"""Each death of a worker counts once, and is forgiven only by a later training step."""

import time

import pytest

from pdsearch.cluster.deaths import Deaths
from pdsearch.protocol import Progress, Report


def epoch(number: int) -> list[Report]:
    return [Report(number, 9, 0.5, 1.0)]


def test_deaths_count_anew_only_after_a_step_further_than_before() -> None:
    deaths = Deaths()
    deaths.hear("t", epoch(1))
    assert [deaths.lose("t", started=True) for _ in range(2)] == [1, 2]
    assert deaths.behind == {"t"}
    deaths.hear("t", epoch(1))
    assert deaths.behind == {"t"}, "it repeats what it did before"
    deaths.hear("t", epoch(2))
    assert deaths.behind == set()
    assert deaths.lose("t", started=True) == 1


def test_a_death_before_a_job_was_started_is_none_of_its() -> None:
    deaths = Deaths()
    assert [deaths.lose("t", started=started) for started in (True, False, False, True)] == [1, 1, 1, 2]
    assert deaths.lose("u", started=False) == 0
    assert deaths.behind == {"t", "u"}, "both are to go on before others"


def test_every_training_of_a_trial_has_steps_of_its_own() -> None:
    deaths = Deaths()
    deaths.hear("t", [Progress("teacher", "", 1, 9)])
    for step, forgiven in (
        (Progress("teacher", "", 1, 9), False),
        (Progress("prune", "round 1", 1, 9), True),
        (Progress("prune", "round 2", 1, 9), True),
    ):
        deaths.lose("t", started=True)
        deaths.hear("t", [step])
        assert (deaths.behind == set()) == forgiven


def test_what_is_no_epoch_is_no_step() -> None:
    deaths = Deaths()
    deaths.lose("t", started=True)
    deaths.hear("t", [Progress("data", "", 0, 0)])
    assert deaths.behind == {"t"}


def test_workers_are_given_up_when_many_started_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deaths = Deaths()
    assert [deaths.in_vain() for _ in range(9)] == [*range(1, 10)]
    now[0] += 61
    assert not deaths.hopeless, "few of them"
    deaths.in_vain()
    assert deaths.hopeless
    deaths.started()
    assert not deaths.hopeless
    assert [deaths.in_vain() for _ in range(99)][-1] == 99
    assert not deaths.hopeless, "a moment that passes"


def test_of_a_trial_that_ended_nothing_is_kept() -> None:
    deaths = Deaths()
    deaths.hear("t", epoch(1))
    deaths.lose("t", started=True)
    deaths.forget("t")
    assert deaths.behind == set()
    assert deaths.lose("t", started=True) == 1, "its death was another's"
    deaths.hear("t", epoch(1))
    assert deaths.behind == set(), "nor is its epoch known"
