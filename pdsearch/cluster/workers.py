"""How every live trial stands: whether it has a worker, a job and a slot. Known from what the trials say."""

import time

from pdsearch.cluster.deaths import Deaths
from pdsearch.cluster.slots import Slots
from pdsearch.jobs import Job

__all__ = ["Workers"]

WARM_UP_S = 15.0
"""Seconds after the first worker is up that the others are waited for; a cluster may still be growing."""


class Workers:
    """How every live Tune trial stands.

    Invariant: every live trial is in `_live`; those that hold a job are also keys of `jobs`, those whose worker has
    started them are also in `_started`, those whose worker has been heard of in `_up`, and those whose node is not fit
    in `_parked`.

    Args:
        slots: Room for trials.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots, self.deaths = slots, Deaths()
        self.jobs: dict[str, Job] = {}
        self.where: dict[str, str] = {}
        self._live: set[str] = set()
        self._started: set[str] = set()
        self._up: set[str] = set()
        self._parked: set[str] = set()
        self._is_warm = False
        self._first_up: float | None = None

    def begin(self, trial_id: str, job: Job | None) -> None:
        """Hear that a trial begins, with a job or to rest."""
        self._live.add(trial_id)
        if job is not None:
            self.jobs[trial_id] = job

    def start(self, trial_id: str) -> None:
        """Hear that a worker has been set up for a trial, and starts it."""
        self._started.add(trial_id)
        self.deaths.started()

    def hear(self, trial_id: str) -> None:
        """Hear of a trial's worker."""
        self._up.add(trial_id)
        self._first_up = self._first_up or time.monotonic()

    def park(self, trial_id: str) -> bool:
        """Hear that a trial's node is not fit; False where that was known."""
        known = trial_id in self._parked
        self._parked.add(trial_id)
        return not known

    def end(self, trial_id: str) -> None:
        """Hear that a trial has ended."""
        for known in (self._live, self._started, self._up, self._parked):
            known.discard(trial_id)
        self.where.pop(trial_id, None)
        self.jobs.pop(trial_id, None)

    def started(self, trial_id: str) -> bool:
        """Say whether a trial's worker has started it."""
        return trial_id in self._started

    @property
    def any_up(self) -> bool:
        """Whether a worker has been heard of that is still there; one whose node is not fit counts too."""
        return bool(self._up or self._parked)

    @property
    def fit(self) -> int:
        """Trials that fit on the nodes that are fit for them."""
        return self.slots.fit - len(self._parked)

    @property
    def free(self) -> int:
        """Jobs that there is room for, beside those that run and the workers that rest."""
        return self.fit - len(self.jobs) - len(self._resting & self._up)

    @property
    def coming(self) -> int:
        """Trials without a job that wait for a worker."""
        return len(self._resting - self._up)

    @property
    def empty(self) -> bool:
        """Whether there is no trial, but for those whose node is not fit."""
        return not self._live - self._parked

    @property
    def warm(self) -> bool:
        """Whether jobs are handed out: at the start all workers are up, or have had time enough."""
        late = self._first_up is not None and time.monotonic() - self._first_up >= WARM_UP_S
        self._is_warm = self._is_warm or late or 0 < self.fit <= len(self._up)
        return self._is_warm

    @property
    def homeless(self) -> bool:
        """Whether a job lost its worker and has no other yet. A node's death is known later than its workers'."""
        behind = self.deaths.behind
        return any(self.jobs[name].id in behind for name in self.waiting)

    @property
    def waiting(self) -> list[str]:
        """Trials that were given a job and have no worker yet."""
        return [name for name in self.jobs if name not in self._up]

    @property
    def starved(self) -> bool:
        """Whether a job waits for a worker while all slots are taken: one that rests has its slot."""
        return len(self._up - self._parked) >= self.fit and bool(self.waiting)

    @property
    def _resting(self) -> set[str]:
        return self._live - self.jobs.keys() - self._parked
