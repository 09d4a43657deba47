"""Does Tune start what the searcher gave it, where there is a worker, and end with the agenda?"""

from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cluster.messages import packed
from pdsearch.events import Report
from tests.cluster.test_searcher import given, lose, searcher, warm

pytestmark = pytest.mark.usefixtures("ray_session")


def trial(name: str) -> Any:
    return SimpleNamespace(trial_id=name, run_metadata=SimpleNamespace(num_failures=2))


def test_no_trial_is_chosen_over_the_one_whose_worker_starts() -> None:
    from pdsearch.cluster.scheduler import JobScheduler

    assert JobScheduler(searcher(given(1))).choose_trial_to_run(None) is None


def test_a_loss_after_a_step_further_is_the_first_again() -> None:
    from pdsearch.cluster.scheduler import JobScheduler

    found = searcher(given(1))
    warm(found, "a")
    found.suggest("t")
    scheduler, one = JobScheduler(found), trial("t")
    scheduler.on_trial_result(None, one, packed([Report(1, 9, 0.5, 1.0)]))
    lose(found, "t")
    scheduler.on_trial_result(None, one, packed([Report(1, 9, 0.5, 1.0)]))
    assert one.run_metadata.num_failures == 2
    scheduler.on_trial_result(None, one, packed([Report(2, 9, 0.5, 1.0)]))
    assert one.run_metadata.num_failures == 0


def test_a_loss_says_where() -> None:
    from pdsearch.cluster.scheduler import JobScheduler

    said: list[str] = []
    found = searcher(given(1))
    found.say = said.append
    warm(found, "a")
    found.suggest("t")
    result = {**packed([Report(1, 9, 0.5, 1.0)]), "node_ip": "10.0.0.3"}
    JobScheduler(found).on_trial_result(None, trial("t"), result)
    lose(found, "t")
    assert said == ["job-0 lost its worker on node 10.0.0.3; it goes on from its checkpoint in another"]


def test_tune_ends_with_the_agenda_whatever_waits() -> None:
    from pdsearch.cluster.scheduler import WhenDone

    work = given(1)
    when = WhenDone(work)
    assert not when.stop_all()
    assert not when("t", {"done": True})
    work.closing = True
    assert when.stop_all()


def test_one_worker_s_death_counts_once_however_often_it_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from pdsearch.cluster.scheduler import JobScheduler

    said: list[str] = []
    found = searcher(given(1))
    found.say = said.append
    warm(found, "a")
    found.suggest("t")
    scheduler, one = JobScheduler(found), trial("t")
    one.run_metadata.num_failures, counts = 0, []
    for at in (10.0, 10.0, 10.3, 12.5, 12.6, 20.0):
        now = SimpleNamespace(monotonic=lambda at=at: at)
        monkeypatch.setattr("pdsearch.cluster.deaths.time", now)
        one.run_metadata.num_failures += 1  # As Tune does, each time.
        scheduler.on_trial_error(None, one)
        counts.append(one.run_metadata.num_failures)
    assert counts == [1, 1, 1, 2, 2, 3]
    assert len(said) == 3
