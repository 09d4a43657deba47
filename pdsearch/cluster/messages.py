"""What passes between Tune and a study: batches of events, and calls whose errors Tune must not see.

Events are sent as one JSON text, since Tune flattens nested values. Does not import Ray, which reads its environment
when it is imported.
"""

import json
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

from pdsearch.protocol import Event, Job, Outcome, Report, Work, event_from_json, event_to_json

T = TypeVar("T")

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


def as_result(events: list[Event]) -> dict[str, object]:
    """Return events as a Tune result; an outcome ends the Tune trial."""
    done = any(isinstance(event, Outcome) for event in events)
    return {PAYLOAD: json.dumps([event_to_json(event) for event in events]), "done": done}


def refused(reason: str) -> dict[str, object]:
    """Return a Tune result that says why the worker's node is not fit for trials."""
    return {**as_result([]), REFUSAL: reason}


def events_of(result: dict[str, Any] | None) -> list[Event]:
    """Return the events of a Tune result."""
    return [event_from_json(value) for value in json.loads((result or {}).get(PAYLOAD, "[]"))]


class Guarded:
    """Work that never raises: after an error it has no more jobs and closes the running ones.

    Tune would wrap an error in its own, or go on with trials whose results are lost.

    Args:
        work: The study's scheduler.

    Attributes:
        error: The first error, for the caller to raise when Tune has ended.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.error: Exception | None = None

    def give_up(self, error: Exception) -> None:
        """End the run with an error; the first one counts."""
        self.error = self.error or error

    @property
    def done(self) -> bool:
        """Whether nothing is left to start and nothing is running, or an error ended the run."""
        return self.error is not None or self._work.done

    @property
    def closing(self) -> bool:
        """Whether running jobs are to be closed."""
        return self.error is not None or self._work.closing

    def next(self) -> Job | None:
        """Return the next job, or None."""
        return self._unless_failed(self._work.next, None)

    def busy(self, job: Job, is_busy: bool) -> None:
        """Pass on that a worker begins with a job, or that the job has lost it."""
        self._unless_failed(partial(self._work.busy, job, is_busy), None)

    def tell(self, job: Job, event: Event) -> bool:
        """Pass on an event of a running job; True asks the runner to close it."""
        return self._unless_failed(partial(self._work.tell, job, event), True)

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Pass on a job's outcome; after an error it is dropped, as if the run had been killed then."""
        self._unless_failed(partial(self._work.finish, job, outcome), None)

    def _unless_failed(self, call: Callable[[], T], otherwise: T) -> T:
        if self.error is None:
            try:
                return call()
            except Exception as error:
                self.error = error
        return otherwise
