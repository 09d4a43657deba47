"""Batches of messages end where the driver decides, and arrive as they were sent."""

import time
from collections.abc import Generator

import pytest

from pdsearch.cluster.messages import batch, packed, unpacked
from pdsearch.protocol import Event, Outcome, Progress, Report

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
        result = packed(part)
        assert result["done"] is done
        assert isinstance(result["events"], str)
        assert unpacked(result) == part
    assert unpacked(None) == unpacked({"time_total_s": 1.0}) == []
