"""Counts of consecutive worker deaths: per job while it ran, and separately of workers that never started one.

A failure before a worker has started a job (its process, its node, its placement group, Ray) is not the job's fault.
"""

import time
from collections.abc import Iterable

from pdsearch.protocol import Event, Progress, Report

MOST_IN_A_ROW = 3
"""Workers in a row that a job may lose while they run it, without progress, before it counts as failed."""

_MOST_IN_VAIN, _IN_VAIN_S = 10, 60.0
"""So many workers in a row that died before they started anything, over at least so many seconds, end the run."""


class Deaths:
    """Worker deaths and progress by job. Invariant: `behind` holds the jobs without progress since a death."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}
        self._steps: dict[str, set[tuple[str, int]]] = {}
        self._in_vain, self._in_vain_since = 0, 0.0

    @property
    def behind(self) -> set[str]:
        """The jobs that lost a worker, one that ran them or was to start them, and made no progress since."""
        return {*self._lost}

    def lose(self, job: str, *, started: bool) -> int:
        """Record that a job lost its worker; return how many it lost in a row that had started it."""
        self._lost[job] = self._lost.get(job, 0) + started
        return self._lost[job]

    def hear(self, job: str, events: Iterable[Event]) -> None:
        """Record a job's events; its count is reset at an epoch that it had never reached before."""
        known = self._steps.setdefault(job, set())
        steps = {_step(event) for event in events if isinstance(event, Report | Progress) and event.epoch}
        if steps - known:
            self._lost.pop(job, None)
        known |= steps

    def forget(self, job: str) -> None:
        """Drop the counts of a job that has ended."""
        self._lost.pop(job, None)
        self._steps.pop(job, None)

    def started(self) -> None:
        """Record that a worker has started: the count of those that could not is reset."""
        self._in_vain = 0

    def in_vain(self) -> int:
        """Record that a worker died before it started anything; return how many did in a row."""
        if not self._in_vain:
            self._in_vain_since = time.monotonic()
        self._in_vain += 1
        return self._in_vain

    @property
    def hopeless(self) -> bool:
        """Whether so many workers in a row, over so long a time, have failed to start that the run should end."""
        return self._in_vain >= _MOST_IN_VAIN and time.monotonic() - self._in_vain_since >= _IN_VAIN_S


def _step(event: Report | Progress) -> tuple[str, int]:
    return ("distill" if isinstance(event, Report) else f"{event.stage} {event.note}", event.epoch)
