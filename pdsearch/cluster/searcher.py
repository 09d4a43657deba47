"""How does Tune get its trials, and where do its results go? From the agenda and back to it, with no memory of its own.

A slot without a job holds a *resting* trial, which keeps its actor until there is a job for it. Where jobs are short,
an actor that is still starting would otherwise never come up, and at the end of a phase all but one would be dropped.

On a cluster the slots change. A resting trial that finds no room asks an autoscaler for a node, and only while there is
more to do than room to do it; and slots that found nothing to do for a while are given up, so that their nodes can go.
"""

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from pdsearch.cluster.messages import unpacked
from pdsearch.cluster.slots import Slots
from pdsearch.events import Event, Outcome, Progress, Report
from pdsearch.jobs import Job, Work, job_to_json

__all__ = ["JobSearcher"]

_WARM_UP_S = 15.0
"""Seconds after the first worker is up that the others are waited for; a cluster may still be growing."""

_SAME_DEATH_S = 1.0
"""Losses that follow one another sooner are of one worker: another one takes longer to start."""

_IDLE_S = 60.0
"""Seconds without a job to hand out after which the slots of a cluster are given up."""


class JobSearcher(Searcher):
    """Asks the agenda for jobs and tells it how they end.

    Invariant: every live Tune trial is in `_live`; those that hold a job are also keys of `jobs`, and those whose
    worker has been heard of since it last started are also in `_up`.

    Args:
        work: The agenda.
        place: What every worker is told of where it works.
        slots: Room for trials.
        say: Tells the person something.
    """

    def __init__(
        self,
        work: Work,
        place: dict[str, Any],
        slots: Slots,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__()
        self.work, self.place, self.slots, self.say = work, place, slots, say
        self.jobs: dict[str, Job] = {}
        self.stopped: set[str] = set()
        self._ready: deque[Job] = deque()
        self._live: set[str] = set()
        self._up: set[str] = set()
        self._steps: dict[str, set[tuple[str, int]]] = {}
        self._lost: set[str] = set()
        self._lost_at: dict[str, float] = {}
        self._where: dict[str, str] = {}
        self._parked: set[str] = set()
        self._is_warm = False
        self._first_up: float | None = None
        self._fed = time.monotonic()

    def suggest(self, trial_id: str) -> Any:
        """Return the next job, a rest, nothing for now, or Tune's word for "nothing more"."""
        news = self.slots.news()
        if news:
            self.say(news)
        self._close_waiting()
        if self.work.done:
            return str(Searcher.FINISHED)
        if self._homeless:
            return None  # The next worker that is free is for the job that lost its own.
        resting = self._live - self.jobs.keys() - self._parked
        free = self._fit - len(self.jobs) - len(resting & self._up)
        job = self._take() if free > 0 and self._warm else None
        if job is not None:
            self._live.add(trial_id)
            self.jobs[trial_id] = job
            return {"job": json.dumps(job_to_json(job)), "place": self.place}
        if len(resting - self._up) < self._rests(free):
            self._live.add(trial_id)
            return {"job": None, "place": self.place}
        return None

    def rest(self, trial_id: str) -> bool:
        """Hear of a worker without a job; True ends its rest: there is a job, or there is no use for its slot."""
        self._up.add(trial_id)
        self._first_up = self._first_up or time.monotonic()
        if not self._warm:
            return False
        return self._more() or self.work.done or self._idle or self._homeless or self._starved

    def locate(self, trial_id: str, node: str) -> None:
        """Hear on which node a trial is."""
        self._where[trial_id] = node

    def tell(self, trial_id: str, events: list[Event]) -> bool:
        """Pass a job's events on; True when the agenda wants it stopped."""
        self._up.add(trial_id)
        job = self.jobs.get(trial_id)
        told = [self.work.tell(job, event) for event in events if job and not isinstance(event, Outcome)]
        if any(told):
            self.stopped.add(trial_id)
        return any(told)

    def park(self, trial_id: str, reason: str) -> None:
        """Hear that a worker's node is not fit. The worker stays, so that its slot stays taken; its job goes."""
        if trial_id in self._parked:
            return
        self._parked.add(trial_id)
        if trial_id in self.jobs:
            self._ready.appendleft(self.jobs.pop(trial_id))
        self.say(f"node {self._where.get(trial_id, 'unknown')} gets no trial: {reason}")

    def lose(self, trial_id: str) -> bool:
        """Hear that a trial lost its worker; Tune gives it another. False where it is a death that was heard of before.

        A worker that dies while it is given a job is reported for each thing that was asked of it.
        """
        self._parked.discard(trial_id)
        last, now = self._lost_at.get(trial_id), time.monotonic()
        self._lost_at[trial_id] = now
        self._up.discard(trial_id)
        self._lost.add(trial_id)
        if last is not None and now - last < _SAME_DEATH_S:
            return False
        if trial_id in self.jobs:
            node = f" on node {self._where[trial_id]}" if trial_id in self._where else ""
            self.say(
                f"{self.jobs[trial_id].id} lost its worker{node}; it goes on from its checkpoint in another"
            )
        return True

    def recovered(self, trial_id: str, events: list[Event]) -> bool:
        """Say whether a trial that lost a worker has now come further than it ever was before."""
        known = self._steps.setdefault(trial_id, set())
        steps = {_step(event) for event in events if isinstance(event, Report | Progress) and event.epoch}
        further = bool(steps - known)
        known |= steps
        if not further or trial_id not in self._lost:
            return False
        self._lost.discard(trial_id)
        return True

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Settle a job: stopped, ended, or lost with its worker."""
        self._live.discard(trial_id)
        job = self.jobs.get(trial_id)
        outcome = self._outcome(trial_id, unpacked(result), error) if job else None
        for known in (self._up, self._lost, self._parked):
            known.discard(trial_id)
        self._steps.pop(trial_id, None)
        self._lost_at.pop(trial_id, None)
        self._where.pop(trial_id, None)
        if job is not None and outcome is not None:
            del self.jobs[trial_id]
            self.work.finish(job, outcome)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the scheduler has passed the result on already."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles what it is given into a file that nobody reads, and a screen cannot be pickled."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the only ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resume is a new Tuner over the same study."""

    @property
    def _fit(self) -> int:
        """Trials that fit on the nodes that are fit for them."""
        return self.slots.fit - len(self._parked)

    @property
    def _warm(self) -> bool:
        """Whether jobs are handed out: at the start all workers are up, or have had time enough."""
        late = self._first_up is not None and time.monotonic() - self._first_up >= _WARM_UP_S
        self._is_warm = self._is_warm or late or 0 < self._fit <= len(self._up)
        return self._is_warm

    @property
    def _homeless(self) -> bool:
        """Whether a job lost its worker and has no other yet. A node's death is known later than its workers'."""
        return any(name in self.jobs and name not in self._up for name in self._lost)

    @property
    def _waiting(self) -> bool:
        """Whether a job was given to a trial that has no worker yet."""
        return any(name not in self._up for name in self.jobs)

    @property
    def _starved(self) -> bool:
        """Whether a job waits for a worker while all slots are taken: one that rests has its slot."""
        return len(self._up - self._parked) >= self._fit and self._waiting

    @property
    def _idle(self) -> bool:
        """Whether a cluster had nothing to do for so long that its nodes are better let go."""
        return self.slots.wanted > self.slots.fit and time.monotonic() - self._fed >= _IDLE_S

    def _rests(self, free: int) -> int:
        """How many trials may wait for a worker without a job."""
        if not self._live - self._parked:
            return 1
        if free > 0:
            return 0 if self._idle else free
        if self._waiting:
            # The next worker that is free is for that job. Tune would give it to the newest trial, and one that rests
            # makes room for another one that rests, for ever: after a node's death, which is noticed late, more jobs
            # were given out than there are slots.
            return 0
        beyond = self.slots.wanted - self.slots.fit
        return beyond if beyond > 0 and self._warm and self._more() else 0

    def _more(self) -> bool:
        """Whether there is a job to hand out; it is asked for, and kept for the next free slot."""
        if not self._ready:
            job = self.work.next()
            self._ready.extend([job] if job else [])
        if self._ready:
            self._fed = time.monotonic()
        return bool(self._ready)

    def _take(self) -> Job | None:
        return self._ready.popleft() if self._more() else None

    def _close_waiting(self) -> None:
        """End the jobs that have no worker to hear that they are to be closed."""
        if not self.work.closing:
            return
        waiting = [name for name in self.jobs if name not in self._up]
        self._ready.extend(self.jobs.pop(name) for name in waiting)
        while self._ready:
            self.work.finish(self._ready.popleft(), Outcome("stopped"))

    def _outcome(self, trial_id: str, events: list[Event], error: bool) -> Outcome:
        if error:
            return Outcome("failed", "its worker was lost again and again")
        if trial_id in self.stopped:
            return Outcome("stopped")
        self.tell(trial_id, events)
        return next(event for event in events if isinstance(event, Outcome))


def _step(event: Report | Progress) -> tuple[str, int]:
    return ("distill" if isinstance(event, Report) else f"{event.stage} {event.note}", event.epoch)
