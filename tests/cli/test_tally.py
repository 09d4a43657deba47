"""Counts of jobs, artifacts and epochs shown during a run."""

import time
from dataclasses import replace

import pytest

from pdsearch.cli.progress.stats import Tally, about, describe, duration, ending
from pdsearch.observer import Observer
from pdsearch.protocol import Job, Outcome
from pdsearch.trial_record import TrialRecord
from tests.cli.scripted_run import record, show
from tests.pipeline.digits import ALONE, DENSE, SPEC, distilled, job, pruned


class Counting(Observer):
    """An observer that only counts."""

    def __init__(self) -> None:
        self.tally = Tally()

    def phase(self, name: str, total: int, done: int) -> None:
        self.tally.begin(name, total, done)

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        self.tally.end(job, outcome, record)


@pytest.fixture
def tally() -> Tally:
    counting = Counting()
    show(counting)
    return counting.tally


def test_a_run_is_counted(tally: Tally) -> None:
    search = {("search", state): 1 for state in ("complete", "stopped", "failed", "infeasible")}
    assert tally.states == {
        **search,
        ("teacher", "complete"): 1,
        ("baseline", "complete"): 1,
        ("confirm", "complete"): 1,
    }
    assert tally.kinds() == (
        "1 dense teacher, 1 baseline, 4 search trials (1 failed, 1 infeasible, 1 stopped), 1 confirmation student"
    )
    assert tally.best == (0.9125, "search-00001")
    assert (tally.hits, tally.built) == (6, 6)
    assert tally.saved_s == 6 * 90
    assert tally.trained == 12


def test_a_failed_search_trial_does_not_count_towards_the_total() -> None:
    tally, trial = Tally(), job(SPEC)
    tally.begin("search", 4, 1)
    tally.end(trial, Outcome("failed"), record("failed", "x", None, 0))
    assert tally.done == 1
    tally.end(trial, Outcome("stopped"), record("stopped", None, 0.5, 1))
    assert tally.done == 2


def test_the_best_is_that_of_all_runs_and_never_a_stopped_trial() -> None:
    tally = Tally()
    tally.opened([record("complete", None, 0.9, 2), record("stopped", None, 0.99, 1)])
    assert tally.best == (0.9, "search-00000")
    tally.end(job(SPEC), Outcome("stopped"), record("stopped", None, 0.98, 1))
    tally.end(job(SPEC), Outcome("complete"), record("complete", None, 0.8, 2))
    assert tally.best == (0.9, "search-00000")
    assert tally.states.total() == 2


def test_the_time_left_is_told_from_what_remains_once_enough_was_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    tally = Tally()
    tally.begin("search", 10, 0)
    for number in range(0, 6, 2):
        pair = [job(SPEC, id=f"search-{number + place:05d}") for place in (0, 1)]
        assert tally.left_s() is None or number > 2
        for one in pair:
            tally.start(one)
        now[0] += 30
        for one in pair:
            tally.end(one, Outcome("complete"), record("complete", None, 0.5, 2))
    assert tally.left_s() == 4 * 30 / 2
    last = [job(SPEC, id=f"search-{number:05d}") for number in range(6, 10)]
    for one in last[:2]:
        tally.start(one)
    now[0] += 10
    assert tally.left_s() == (2 * 30 + 2 * 20) / 2
    tally.done = 8  # Two trials are at work, longer than any before: never "0 s left".
    now[0] += 500
    assert tally.left_s() == 3
    tally.begin("confirmation", 5, 0)
    assert tally.left_s() is None


def test_a_job_is_described_by_what_was_sampled() -> None:
    assert describe(job(SPEC)) == "convnet_s magnitude 0.36  kd  alpha 0.5  temperature 4"
    assert describe(job(pruned(params=(("power", 0.25),)))).startswith(
        "convnet_s magnitude 0.36  power 0.25  kd"
    )
    assert describe(job(DENSE)).startswith("convnet_s unpruned  kd  alpha 0.5")
    assert describe(job(distilled(seed=3), kind="confirm")).endswith("seed 3")
    assert describe(job(ALONE)) == "student alone  seed 0"
    assert describe(job(DENSE, kind="teacher")) == "train convnet_s"
    outside = replace(DENSE, teacher=replace(DENSE.teacher, checkpoint="weights/best.pth"))
    assert describe(job(outside, kind="teacher")) == "read convnet_s from best.pth"
    trained = replace(outside, teacher=replace(outside.teacher, head="fresh"))
    assert describe(job(trained, kind="teacher")) == "train convnet_s from best.pth"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (record("complete", None, 0.5, 2), "val 50.00 %"),
        (record("stopped", None, 0.5, 1), "val 50.00 %  stopped at epoch 1"),
        (record("failed", "why\nmore", None, 0), "failed: why"),
        (record("failed", None, None, 0), "failed: "),
        (record("infeasible", "too large", None, 0), "infeasible: too large"),
    ],
)
def test_an_end_is_one_line(found: TrialRecord, words: str) -> None:
    assert ending(Outcome(found.state), found) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7260, "2 h 01 min")],
)
def test_seconds_read_as_a_person_says_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "5 s"), (37, "35 s"), (237, "4 min"), (5300, "88 min"), (7260, "2.0 h")]
)
def test_an_estimate_is_no_finer_than_it_is(seconds: float, words: str) -> None:
    assert about(seconds) == words
