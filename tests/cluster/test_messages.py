"""What driver and workers tell each other, and what an error does to it."""

import time
from collections.abc import Generator

import pytest

from pdsearch.cluster.messages import Guarded, as_result, batch, events_of
from pdsearch.errors import StorageFullError
from pdsearch.protocol import Event, Outcome, Progress, Report
from tests.pipeline.digits import ALONE, distilled, job
from tests.pipeline.given import Given
from tests.some import some

END = Outcome("complete", values={"student.val_accuracy": 0.5})


def events(epochs: int) -> Generator[Event, None, None]:
    yield Progress("teacher")
    for epoch in range(1, epochs + 1):
        yield Report(epoch, epochs, 0.5, 1.0)
    yield END


def batches(decide_at: tuple[int, ...]) -> list[list[Event]]:
    source, found = events(9), []
    while gathered := batch(source, decide_at):
        found.append(gathered)
    return found


def test_a_batch_ends_where_the_driver_decides_and_with_the_outcome() -> None:
    found = batches((1, 3))
    assert [len(gathered) for gathered in found] == [2, 2, 7]
    assert [event for gathered in found for event in gathered] == list(events(9))


def test_without_decisions_a_quick_trial_is_one_batch() -> None:
    assert len(batches(())) == 1


def test_a_slow_trial_is_heard_of_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def tick() -> float:
        now[0] += 0.1
        return now[0]

    monkeypatch.setattr(time, "monotonic", tick)
    found = batches(())
    assert all(len(gathered) == 3 for gathered in found[:-1])
    assert [event for gathered in found for event in gathered] == list(events(9))


def test_events_travel_as_one_text_and_an_outcome_ends_the_trial() -> None:
    said = list(events(2))
    for part, done in ((said[:-1], False), (said, True), ([], False)):
        result = as_result(part)
        assert result["done"] is done
        assert isinstance(result["events"], str)
        assert events_of(result) == part
    assert events_of(None) == events_of({"time_total_s": 1.0}) == []


JOBS = [job(distilled(ALONE, seed=n), id=f"job-{n}") for n in range(2)]
FULL = StorageFullError("no space is left")


@pytest.mark.parametrize("error", [FULL, KeyError("a defect")], ids=["refusal", "defect"])
@pytest.mark.parametrize("method", ["next", "tell", "finish"])
def test_an_error_is_kept_and_ends_the_work(
    method: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    guarded = Guarded(Given(list(JOBS)))
    first = some(guarded.next())
    assert not guarded.done
    monkeypatch.setattr(Given, method, refuse)
    guarded.tell(first, Report(1, 2, 0.5, 1.0))
    guarded.finish(first, Outcome("complete"))
    assert guarded.next() is None
    assert guarded.error is error
    assert guarded.done
    assert guarded.tell(first, Report(2, 2, 0.5, 1.0)), "what runs is stopped"


def test_without_an_error_it_is_the_work_itself() -> None:
    work = Given(list(JOBS))
    guarded = Guarded(work)
    while (one := guarded.next()) is not None:
        assert not guarded.tell(one, Report(1, 2, 0.5, 1.0))
        guarded.finish(one, Outcome("complete"))
    assert guarded.error is None
    assert guarded.done == work.done
    assert set(work.outcomes) == {"job-0", "job-1"}


def test_whoever_gives_up_ends_the_work_and_the_first_error_counts() -> None:
    guarded = Guarded(Given(list(JOBS)))
    guarded.give_up(FULL)
    guarded.give_up(StorageFullError("later"))
    assert guarded.error is FULL
    assert guarded.done
    assert guarded.next() is None
