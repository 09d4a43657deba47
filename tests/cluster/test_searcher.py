"""Does Tune get every job once, and does the agenda hear of its end once?"""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cluster.messages import packed
from pdsearch.events import Event, Outcome, Report
from pdsearch.jobs import job_from_json
from tests.stages.digits import ALONE, distilled, job
from tests.stages.given import Given

pytestmark = pytest.mark.usefixtures("ray_session")

REPORT = Report(1, 2, 0.5, 1.0)
END = Outcome("complete")


def given(count: int, **fields: Any) -> Given:
    return Given([job(distilled(ALONE, seed=n), id=f"job-{n}") for n in range(count)], **fields)


def searcher(work: Given, slots: int = 1) -> Any:
    from pdsearch.cluster.searcher import JobSearcher

    return JobSearcher(work, {"threads": 1}, slots)


def result(found: Any, trial_id: str, *events: Event) -> str:
    from pdsearch.cluster.searcher import JobScheduler

    trial = SimpleNamespace(trial_id=trial_id)
    return JobScheduler(found).on_trial_result(None, trial, packed(list(events)))  # type: ignore[arg-type]


def warm(found: Any, *names: str) -> None:
    for name in names:
        assert found.suggest(name) == {"job": None, "place": {"threads": 1}}
        result(found, name)


def test_workers_rest_until_all_are_up_and_then_get_jobs() -> None:
    work = given(3)
    found = searcher(work, slots=2)
    assert found.suggest("a")["job"] is None
    assert found.suggest("b")["job"] is None
    assert result(found, "a") == "CONTINUE"  # One of two is up.
    assert len(work.jobs) == 3
    assert result(found, "b") == "STOP"
    assert result(found, "a") == "STOP"
    first, second = found.suggest("c"), found.suggest("d")
    assert job_from_json(json.loads(first["job"])).id == "job-0"
    assert job_from_json(json.loads(second["job"])).id == "job-1"
    assert first["place"] == {"threads": 1}


def test_a_worker_that_does_not_come_up_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    found = searcher(given(1), slots=2)
    warm(found, "a")
    assert found.suggest("b")["job"] is None
    now[0] += 16
    assert found.suggest("c")["job"] is not None


def test_when_all_is_done_resting_workers_are_let_go() -> None:
    assert searcher(given(0)).suggest("a") == "FINISHED"
    found = searcher(given(1), slots=2)
    assert [found.suggest(name)["job"] for name in "ab"] == [None, None]
    assert [result(found, name) for name in "ab"] == ["CONTINUE", "STOP"]
    found.suggest("t")
    assert result(found, "a") == "CONTINUE"  # Nothing to do while the last job runs.
    found.on_trial_complete("t", packed([END]))
    assert result(found, "a") == "STOP"
    assert found.suggest("c") == "FINISHED"


def test_events_are_told_in_order_and_the_outcome_ends_the_job_once() -> None:
    work = given(1)
    found = searcher(work)
    warm(found, "a")
    found.suggest("t")
    assert result(found, "t", REPORT) == "CONTINUE"
    last = Report(2, 2, 0.6, 1.0)
    found.on_trial_complete("t", packed([last, END]))
    assert work.told == {"job-0": [REPORT, last]}
    assert work.outcomes == {"job-0": END}


def test_a_job_the_agenda_stops_is_stopped() -> None:
    work = given(1, stops=lambda _job, event: event == REPORT)
    found = searcher(work)
    warm(found, "a")
    found.suggest("t")
    assert result(found, "t", REPORT) == "STOP"
    found.on_trial_complete("t", packed([REPORT]))
    assert work.outcomes == {"job-0": Outcome("stopped")}
    assert work.told == {"job-0": [REPORT]}


def test_a_job_whose_worker_is_lost_for_good_failed() -> None:
    work = given(1)
    found = searcher(work)
    warm(found, "a")
    found.suggest("t")
    found.on_trial_complete("t", None, error=True)
    assert work.outcomes["job-0"].state == "failed"
    assert "worker" in str(work.outcomes["job-0"].reason)


def test_the_end_of_a_rest_is_no_job_s() -> None:
    work = given(1)
    found = searcher(work)
    warm(found, "a")
    found.on_trial_complete("a", packed([]))
    assert work.outcomes == {}
