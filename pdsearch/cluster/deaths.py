"""Which deaths of workers count? Each once, however often it is reported, and none before a step ahead."""

import time
from collections.abc import Iterable

from pdsearch.events import Event, Progress, Report

__all__ = ["Deaths"]

_SAME_DEATH_S = 1.0
"""Reports that follow one another sooner are of one worker's death: another one takes longer to start."""


class Deaths:
    """Whose workers died, and how far trials came. Invariant: `behind` are those that came no further since a death."""

    def __init__(self) -> None:
        self.behind: set[str] = set()
        self._at: dict[str, float] = {}
        self._steps: dict[str, set[tuple[str, int]]] = {}

    def lose(self, trial_id: str) -> bool:
        """Hear that a trial lost its worker; False where it is a death that was heard of before.

        A worker that dies while it is given a job is reported for each thing that was asked of it.
        """
        last, now = self._at.get(trial_id), time.monotonic()
        self._at[trial_id] = now
        self.behind.add(trial_id)
        return last is None or now - last >= _SAME_DEATH_S

    def recovered(self, trial_id: str, events: Iterable[Event]) -> bool:
        """Say whether a trial that lost a worker has now come further than it ever was before."""
        known = self._steps.setdefault(trial_id, set())
        steps = {_step(event) for event in events if isinstance(event, Report | Progress) and event.epoch}
        further = bool(steps - known)
        known |= steps
        if not further or trial_id not in self.behind:
            return False
        self.behind.discard(trial_id)
        return True

    def forget(self, trial_id: str) -> None:
        """Hear that a trial has ended."""
        self.behind.discard(trial_id)
        self._at.pop(trial_id, None)
        self._steps.pop(trial_id, None)


def _step(event: Report | Progress) -> tuple[str, int]:
    return ("distill" if isinstance(event, Report) else f"{event.stage} {event.note}", event.epoch)
