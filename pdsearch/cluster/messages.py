"""Messages between driver and worker: batches of events as one JSON text, since Tune flattens nested values."""

import json
import time
from collections.abc import Generator
from typing import Any

from pdsearch.protocol import Event, Outcome, Report, event_from_json, event_to_json

PAYLOAD, REFUSAL = "events", "refusal"
FLUSH_S = 0.25
"""Seconds for which a worker collects events before it reports them: each report costs the driver some milliseconds."""


def batch(events: Generator[Event, None, None], decide_at: tuple[int, ...]) -> list[Event]:
    """Return the next events: up to an epoch at which the driver decides, the outcome, or for a quarter second."""
    since = time.monotonic()
    gathered: list[Event] = []
    for event in events:
        gathered.append(event)
        decides = isinstance(event, Report) and event.epoch in decide_at
        if decides or isinstance(event, Outcome) or time.monotonic() - since >= FLUSH_S:
            break
    return gathered


def packed(events: list[Event]) -> dict[str, object]:
    """Return events as a Tune result; an outcome ends the Tune trial."""
    done = any(isinstance(event, Outcome) for event in events)
    return {PAYLOAD: json.dumps([event_to_json(event) for event in events]), "done": done}


def refused(reason: str) -> dict[str, object]:
    """Return a Tune result that says why the worker's node is not fit for trials."""
    return {**packed([]), REFUSAL: reason}


def unpacked(result: dict[str, Any] | None) -> list[Event]:
    """Return the events of a Tune result."""
    return [event_from_json(value) for value in json.loads((result or {}).get(PAYLOAD, "[]"))]
