"""Tune gets every job once, and the scheduler hears of its end once."""

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cluster.messages import Guarded, as_result, refused
from pdsearch.protocol import Event, Job, Outcome, Report
from pdsearch.records.codec import decode
from tests.pipeline.digits import ALONE, distilled, job
from tests.pipeline.given import Given

pytestmark = pytest.mark.usefixtures("ray_session")

REPORT = Report(1, 2, 0.5, 1.0)
END = Outcome("complete")


def given(count: int, **fields: Any) -> Given:
    return Given([job(distilled(ALONE, seed=n), id=f"job-{n}") for n in range(count)], **fields)


def searcher(work: Given, slots: int = 1, wanted: int | None = None) -> Any:
    from pdsearch.cluster.tune_searcher import JobSearcher

    room: Any = SimpleNamespace(fit=slots, wanted=wanted or slots, news=lambda: None)
    return JobSearcher(Guarded(work), {"threads": 1}, room)


def scheduler(found: Any) -> Any:
    from pdsearch.cluster.tune_scheduler import JobScheduler

    return JobScheduler(found)


def result(found: Any, trial_id: str, *events: Event) -> str:
    trial = SimpleNamespace(trial_id=trial_id, run_metadata=SimpleNamespace(num_failures=2))
    said: str = scheduler(found).on_trial_result(None, trial, as_result(list(events)))
    if said == "STOP" and trial_id not in found.jobs:
        found.on_trial_complete(trial_id, as_result([]))  # As Tune does; of jobs the tests say it themselves.
    return said


def busy(work: Given, wanted: int = 2) -> Any:
    """Two slots, a job in trial t, and nothing to do in a, which rests in the other."""
    found = searcher(work, slots=2, wanted=wanted)
    assert [found.suggest(name)["job"] for name in "ab"] == [None, None]
    assert [result(found, name) for name in "ab"] == ["CONTINUE", "STOP"]
    assert found.suggest("t")["job"] is not None
    assert result(found, "a") == "CONTINUE"
    return found


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    found = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: found[0])
    return found


def warm(found: Any, *names: str) -> None:
    for name in names:
        assert found.suggest(name) == {"job": None, "place": {"threads": 1}}
    for name in names:
        result(found, name)


def test_workers_rest_until_all_are_up_and_then_get_jobs() -> None:
    work = given(3)
    found = searcher(work, slots=2)
    assert found.suggest("a")["job"] is None
    assert found.suggest("b")["job"] is None
    assert found.suggest("c") is None  # No third slot.
    assert result(found, "a") == "CONTINUE"  # One of two is up.
    assert len(work.jobs) == 3
    assert result(found, "b") == "STOP"
    assert result(found, "a") == "STOP"
    first, second = found.suggest("d"), found.suggest("e")
    assert decode(Job, json.loads(first["job"])).id == "job-0"
    assert decode(Job, json.loads(second["job"])).id == "job-1"
    assert first["place"] == {"threads": 1}
    assert found.suggest("f") is None


def test_a_worker_that_does_not_come_up_is_not_waited_for_for_ever(now: list[float]) -> None:
    found = searcher(given(1), slots=2)
    assert [found.suggest(name)["job"] for name in "ab"] == [None, None]
    assert result(found, "a") == "CONTINUE"
    now[0] += 16
    assert result(found, "a") == "STOP"
    assert found.suggest("c")["job"] is not None


def test_when_all_is_done_resting_workers_are_let_go() -> None:
    assert searcher(given(0)).suggest("a") == "FINISHED"
    found = busy(given(1))
    found.on_trial_complete("t", as_result([END]))
    assert result(found, "a") == "STOP"
    assert found.suggest("c") == "FINISHED"


def test_events_are_told_in_order_and_the_outcome_ends_the_job_once() -> None:
    work = given(1)
    found = searcher(work)
    warm(found, "a")
    found.suggest("t")
    assert result(found, "t", REPORT) == "CONTINUE"
    last = Report(2, 2, 0.6, 1.0)
    found.on_trial_complete("t", as_result([last, END]))
    assert work.told == {"job-0": [REPORT, last]}
    assert work.outcomes == {"job-0": END}


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_job_the_scheduler_stops_is_stopped_also_if_its_worker_dies_then(is_lost: bool) -> None:
    work = given(1, stops=lambda _job, event: event == REPORT)
    found = searcher(work)
    warm(found, "a")
    found.suggest("t")
    assert result(found, "t", REPORT) == "STOP"
    if is_lost:
        lose(found, "t")
    else:
        found.on_trial_complete("t", as_result([REPORT]))
    assert work.outcomes == {"job-0": Outcome("stopped")}
    assert work.told == {"job-0": [REPORT]}


def started(found: Any, trial_id: str) -> str:
    """Give a trial the next job, and let its worker start it; return the job's name."""
    asked = found.suggest(trial_id)
    found.start(trial_id)
    return decode(Job, json.loads(asked["job"])).id


def test_a_job_that_loses_each_worker_failed_and_says_what_ray_said_last() -> None:
    work = given(2)
    found = searcher(work)
    warm(found, "a")
    assert result(found, "a") == "STOP"
    for name in "stuv":
        assert work.outcomes == {}
        assert started(found, name) == "job-0", "it goes on before another begins"
        assert work.working == {"job-0"}
        lose(found, name, f"{name} was killed")
        assert not work.working, "no GPU is busy with it"
    reason = "it lost 4 workers in a row, without a step ahead: v was killed"
    assert work.outcomes == {"job-0": Outcome("failed", reason)}
    assert started(found, "w") == "job-1"


def test_a_job_whose_trial_ends_with_an_error_of_which_only_the_searcher_hears_goes_to_another_worker() -> (
    None
):
    said: list[str] = []
    found = searcher(given(1))
    found.say = said.append
    warm(found, "a")
    assert started(found, "s") == "job-0"
    found.on_trial_complete("s", None, error=True)
    assert said == ["job-0 lost its worker; it goes on from its checkpoint in another: Ray gave no reason"]
    assert started(found, "t") == "job-0"


def test_a_step_ahead_forgives_the_losses_before_it() -> None:
    work = given(1)
    found = searcher(work)
    warm(found, "a")
    for number, name in enumerate("bcdefghi"):
        started(found, name)
        result(found, name, Report(1 + number // 2, 9, 0.5, 1.0))
        lose(found, name, "killed")
    assert work.outcomes == {}


def test_a_worker_that_cannot_start_a_job_gives_it_to_another_however_often() -> None:
    said: list[str] = []
    work = given(1)
    found = searcher(work)
    found.say = said.append
    warm(found, "a")
    for number in range(20):
        assert found.suggest(f"t{number}")["job"] is not None
        lose(found, f"t{number}", "FileNotFoundError: no folder")
    assert work.outcomes == {}
    assert said == ["a worker could not start job-0, which goes to another: FileNotFoundError: no folder"]
    assert started(found, "u") == "job-0"
    found.on_trial_complete("u", as_result([END]))
    assert work.outcomes == {"job-0": END}


def test_a_death_that_is_reported_twice_counts_once() -> None:
    work = given(1)
    found = searcher(work)
    warm(found, "a")
    started(found, "t")
    for _ in range(9):
        lose(found, "t", "The actor is unavailable")
    assert found.suggest("u")["job"] is not None
    assert found.suggest("v") is None, "it is there once"
    assert work.outcomes == {}
    assert found.workers.deaths.lose("job-0", started=True) == 2


def test_when_no_worker_starts_anything_the_run_ends_with_what_ray_said(now: list[float]) -> None:
    work = given(1)
    found = searcher(work)
    for number in range(10):
        assert found.work.error is None
        assert found.suggest(f"t{number}") == {"job": None, "place": {"threads": 1}}
        now[0] += 7
        lose(found, f"t{number}", "no such interpreter")
    assert "10 workers in a row could not start: no such interpreter" in str(found.work.error)
    assert found.suggest("u") == "FINISHED"
    assert work.outcomes == {}


def lose(found: Any, trial_id: str, reason: str = "killed") -> None:
    """As Tune does: it tells the scheduler, then the searcher."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pdsearch.cluster.tune_scheduler.reason_of", lambda _trial: reason)
        scheduler(found).on_trial_error(None, SimpleNamespace(trial_id=trial_id))
    found.on_trial_complete(trial_id, None, error=True)


def test_a_node_that_joins_is_used_and_one_that_left_is_not_waited_for() -> None:
    found = searcher(given(9))
    warm(found, "a")
    assert found.suggest("t")["job"] is not None
    assert found.suggest("u") is None
    found.slots.fit = found.slots.wanted = 2
    assert found.suggest("v")["job"] is not None
    lose(found, "v")
    found.slots.fit = found.slots.wanted = 1
    found.on_trial_complete("t", as_result([END]))
    assert started(found, "w") == "job-1", "the slot is that of the job that lost its worker"
    assert found.suggest("x") is None


def test_a_resting_worker_makes_room_for_a_job_that_lost_its_own() -> None:
    found = busy(given(1))
    lose(found, "t")
    assert found.suggest("c")["job"] is not None
    assert result(found, "a") == "STOP", "at once: that the node is gone is known later"
    assert found.suggest("d") is None


def test_the_next_free_worker_is_for_a_job_that_waits_and_not_for_a_trial_that_rests() -> None:
    """A node's death is noticed late: for a while more jobs are given out than there are slots."""
    found = searcher(given(5), slots=3, wanted=7)
    warm(found, "a", "b", "c")
    assert [result(found, name) for name in "ab"] == ["STOP", "STOP"]
    jobs = [found.suggest(name) for name in "stu"]
    assert all(one["job"] is not None for one in jobs)
    found.slots.fit = 2
    assert found.suggest("d") is None
    result(found, "s", REPORT)
    assert found.suggest("d") is None
    for name in "tu":
        result(found, name, REPORT)
    assert found.suggest("d") == {"job": None, "place": {"threads": 1}}, (
        "nobody waits: more nodes are asked for"
    )


def test_a_resting_worker_whose_slot_is_the_last_makes_room_for_a_job_that_waits() -> None:
    found = busy(given(1))
    found.slots.fit = 1
    assert result(found, "a") == "STOP", "there is nothing more to hand out, and it stands in the way"
    assert found.suggest("c") is None


def test_without_any_node_one_worker_is_waited_for_and_its_node_is_used() -> None:
    found = searcher(given(3), slots=0, wanted=4)
    assert found.suggest("a")["job"] is None
    assert found.suggest("b") is None
    found.slots.fit = 1
    assert result(found, "a") == "STOP"
    assert found.suggest("c")["job"] is not None


def test_what_the_slots_have_to_say_is_said() -> None:
    said: list[str] = []
    found = searcher(given(1))
    found.say, found.slots.news = said.append, lambda: "the cluster has room for 2 trials at once"
    found.suggest("a")
    assert said == ["the cluster has room for 2 trials at once"]


def test_more_nodes_are_asked_for_only_while_there_is_more_to_do() -> None:
    found = searcher(given(2), slots=1, wanted=3)
    warm(found, "a")
    assert found.suggest("t")["job"] is not None
    assert found.suggest("b") is None, "the job's own worker comes first"
    assert result(found, "t", REPORT) == "CONTINUE"
    asked = [found.suggest(name) for name in "bcd"]
    assert [one and one["job"] for one in asked] == [None, None, None]
    assert asked[:2] == [{"job": None, "place": {"threads": 1}}] * 2
    assert asked[2] is None
    done = searcher(given(1), slots=1, wanted=3)
    warm(done, "a")
    assert done.suggest("t")["job"] is not None
    assert result(done, "t", REPORT) == "CONTINUE"
    assert done.suggest("b") is None


def test_slots_that_found_nothing_to_do_for_a_while_are_given_up(now: list[float]) -> None:
    work = given(1)
    found = busy(work, wanted=4)
    now[0] += 61
    assert result(found, "a") == "STOP"
    assert found.suggest("c") is None
    work.jobs.append(job(distilled(ALONE, seed=9), id="late"))
    assert found.suggest("d")["job"] is not None


def test_a_job_without_a_worker_is_closed_too() -> None:
    work = given(3)
    found = searcher(work, slots=1, wanted=3)
    warm(found, "a")
    found.suggest("t")
    result(found, "t", REPORT)
    found.suggest("b")  # Asks for a node: one job is kept for it.
    lose(found, "t")
    work.closing = True
    assert found.suggest("u") == "FINISHED"
    assert work.outcomes == {"job-0": Outcome("stopped"), "job-1": Outcome("stopped")}


def test_a_worker_on_a_node_that_is_not_fit_keeps_its_slot_and_gives_its_job_back() -> None:
    said: list[str] = []
    work = given(2)
    found = searcher(work, slots=2)
    found.say = said.append
    assert [found.suggest(name)["job"] for name in "ab"] == [None, None]
    assert refuse(found, "b") == refuse(found, "b") == "CONTINUE"
    assert said == ["node 10.0.0.3 gets no trial: its storage is another"]
    assert result(found, "a") == "STOP"
    assert decode(Job, json.loads(found.suggest("t")["job"])).id == "job-0"
    assert found.suggest("u") is None, "the slot of the unfit node is no slot"
    found.slots.fit = found.slots.wanted = 3
    assert decode(Job, json.loads(found.suggest("v")["job"])).id == "job-1"
    refuse(found, "v")
    found.on_trial_complete("t", as_result([END]))
    assert decode(Job, json.loads(found.suggest("w")["job"])).id == "job-1"
    assert work.outcomes.keys() == {"job-0"}


def refuse(found: Any, trial_id: str) -> str:
    answer = {**refused("its storage is another"), "node_ip": "10.0.0.3"}
    said: str = scheduler(found).on_trial_result(None, SimpleNamespace(trial_id=trial_id), answer)
    return said
