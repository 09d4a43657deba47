"""Events arrive as they were sent."""

import json

import pytest

from pdsearch.protocol import Event, Outcome, Progress, Ready, Report, Use, event_from_json, event_to_json

USE = Use("teacher", "a" * 64, True, 1.5)
EVENTS: list[Event] = [
    Progress("teacher"),
    Progress("prune", "round 1 of 2", 3, 6, 0.75),
    Ready({"key": "k"}, {"params": 900}, (USE,), {"teacher": 2}, "here", "cpu"),
    Ready(None, {}),
    Report(1, 4, 0.5, 2.25),
    Outcome(
        "complete",
        None,
        {"student.val_accuracy": 0.1},
        {"student.accuracy": 0.2},
        "1:eA==",
        "k",
        (USE,),
        {"d": 1},
    ),
    Outcome("failed", "why"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_the_way_through_json(event: Event) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_an_event_says_its_kind() -> None:
    kinds = [event_to_json(event)["event"] for event in EVENTS]
    assert set(kinds) == {"progress", "ready", "report", "outcome"}


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        event_from_json({"event": "other"})
