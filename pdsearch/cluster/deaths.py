"""Deaths of workers, counted in a row: of each job those while it ran, and apart those of workers that started nothing.

What fails before a worker has started a job (its process, its node, its placement group, Ray) says nothing of it.
"""

import time
from collections.abc import Iterable

from pdsearch.protocol import Event, Progress, Report

__all__ = ["MOST_IN_A_ROW", "Deaths"]

MOST_IN_A_ROW = 3
"""Workers in a row that a job may lose after they had started it, without a step ahead, before it counts as failed."""

_MOST_IN_VAIN, _IN_VAIN_S = 10, 60.0
"""Workers in a row that may be lost before they started anything, and the seconds for which it must have gone on so."""


class Deaths:
    """Whose workers died, and how far jobs came. Invariant: `behind` are those that came no further since a death."""

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}
        self._steps: dict[str, set[tuple[str, int]]] = {}
        self._in_vain, self._in_vain_since = 0, 0.0

    @property
    def behind(self) -> set[str]:
        """The jobs that lost a worker, or one that was to start them, and came no further since."""
        return {*self._lost}

    def lose(self, job: str, *, started: bool) -> int:
        """Hear that a job lost its worker; return how many it lost in a row that had started it."""
        self._lost[job] = self._lost.get(job, 0) + started
        return self._lost[job]

    def hear(self, job: str, events: Iterable[Event]) -> None:
        """Hear of a job; its deaths are forgiven when it has come further than it ever was before."""
        known = self._steps.setdefault(job, set())
        steps = {_step(event) for event in events if isinstance(event, Report | Progress) and event.epoch}
        if steps - known:
            self._lost.pop(job, None)
        known |= steps

    def forget(self, job: str) -> None:
        """Hear that a job has ended."""
        self._lost.pop(job, None)
        self._steps.pop(job, None)

    def started(self) -> None:
        """Hear that a worker started what it was given: workers can."""
        self._in_vain = 0

    def in_vain(self) -> int:
        """Hear that a worker was lost before it started anything; return how many were in a row."""
        if not self._in_vain:
            self._in_vain_since = time.monotonic()
        self._in_vain += 1
        return self._in_vain

    @property
    def hopeless(self) -> bool:
        """Whether so many workers, for so long, have started nothing that more of the same is no use."""
        return self._in_vain >= _MOST_IN_VAIN and time.monotonic() - self._in_vain_since >= _IN_VAIN_S


def _step(event: Report | Progress) -> tuple[str, int]:
    return ("distill" if isinstance(event, Report) else f"{event.stage} {event.note}", event.epoch)
