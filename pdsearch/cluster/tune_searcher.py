"""Tune searcher that gets trials from the study's scheduler and passes their results back; it keeps no other state.

A slot without a job holds a *resting* trial, which keeps its actor until there is a job for it. Where jobs are short,
an actor that is still starting would otherwise never come up, and at the end of a phase all but one would be dropped.

On a cluster the number of slots changes. A resting trial that fits no node makes an autoscaler start one, so there are
such trials only while there are more jobs than slots; slots without a job for a while are given up, so that their nodes
can be released.

A Tune trial ends with its worker, for whatever reason, and is never retried: its job goes to another trial.
"""

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from pdsearch.cluster.messages import Guarded, events_of
from pdsearch.cluster.slots import MOST_IN_A_ROW, Slots, Workers
from pdsearch.errors import ClusterError
from pdsearch.pipeline.failure import lost_workers
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.records.codec import encode

_IDLE_S = 60.0
"""Seconds without a job to hand out after which the slots of a cluster are given up."""


class JobSearcher(Searcher):
    """Gets jobs from the study's scheduler and reports how they end.

    Invariant: every job that the scheduler gave and that has not ended is in `jobs`, by its Tune trial, or in `_ready`.

    Args:
        work: The study's scheduler.
        place: Settings of every worker: storage folders, threads, GPU share, node checks.
        slots: How many trials fit.
        say: Shows a message to the user.
    """

    def __init__(
        self,
        work: Guarded,
        place: dict[str, Any],
        slots: Slots,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__()
        self.work, self.place, self.slots, self.say = work, place, slots, say
        self.workers = Workers(slots)
        self.stopped: set[str] = set()
        self._ready: deque[Job] = deque()
        self._fed = time.monotonic()

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs that Tune's trials hold."""
        return self.workers.jobs

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial, with a job or resting; None for now; or Tune's constant for "no more trials"."""
        news = self.slots.news()
        if news:
            self.say(news)
        self._close_waiting()
        if self.work.done:
            return str(Searcher.FINISHED)
        if self.workers.homeless:
            return None  # The next worker that is free is for the job that lost its own.
        free = self.workers.free
        job = self._take() if free > 0 and self.workers.warmed_up() else None
        if job is None and self.workers.coming >= self._rests(free):
            return None
        self.workers.begin(trial_id, job)
        return {"job": json.dumps(encode(job)) if job else None, "place": self.place}

    def start(self, trial_id: str) -> None:
        """Record that a worker has been set up for a trial and starts it."""
        self.workers.start(trial_id)
        if trial_id in self.jobs:
            self.work.busy(self.jobs[trial_id], True)

    def rest(self, trial_id: str) -> bool:
        """Record a report of a resting worker; True ends its trial: there is a job, or no use for its slot."""
        self.workers.hear(trial_id)
        if not self.workers.warmed_up():
            return False
        return self._more() or self.work.done or self._idle or self.workers.homeless or self.workers.starved

    def locate(self, trial_id: str, node: str) -> None:
        """Record on which node a trial runs."""
        self.workers.where[trial_id] = node

    def tell(self, trial_id: str, events: list[Event]) -> bool:
        """Pass a job's events on; True when the study's scheduler wants it stopped."""
        self.workers.hear(trial_id)
        job = self.jobs.get(trial_id)
        if job is not None:
            self.workers.deaths.hear(job.id, events)
        told = [self.work.tell(job, event) for event in events if job and not isinstance(event, Outcome)]
        if any(told):
            self.stopped.add(trial_id)
        return any(told)

    def park(self, trial_id: str, reason: str) -> None:
        """Record that a worker's node is unfit. The worker stays and keeps its slot taken; its job goes to another."""
        if not self.workers.park(trial_id):
            return
        if trial_id in self.jobs:
            self._ready.appendleft(self.jobs.pop(trial_id))
        self.say(f"node {self.workers.where.get(trial_id, 'unknown')} gets no trial: {reason}")

    def lose(self, trial_id: str, reason: str) -> None:
        """Handle a trial that Tune gave up, as its worker was lost or failed: its job goes to another worker.

        Args:
            trial_id: The trial.
            reason: Ray's reason.
        """
        where, job = self.workers.where.get(trial_id), self.jobs.get(trial_id)
        started = self.workers.started(trial_id)
        self.workers.end(trial_id)
        if not started:
            self._in_vain(reason, job)
        if job is None:
            return
        self.work.busy(job, False)
        if trial_id in self.stopped:
            self._finish(job, Outcome("stopped"))
            return
        lost = self.workers.deaths.lose(job.id, started=started)
        if lost > MOST_IN_A_ROW:
            self._finish(job, Outcome("failed", lost_workers(lost, reason)))
            return
        self._ready.appendleft(job)
        if started:
            node = f" on node {where}" if where is not None else ""
            self.say(f"{job.id} lost its worker{node}; it goes on from its checkpoint in another: {reason}")

    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        """Finish a trial's job, as stopped or with its outcome, or give it to another worker."""
        job = self.jobs.get(trial_id)
        if job is not None and error:  # Rarely: Tune notifies the scheduler first, which settles it.
            self.lose(trial_id, "Ray gave no reason")
            return
        outcome = self._outcome(trial_id, events_of(result)) if job else None
        self.workers.end(trial_id)
        if job is not None and outcome is not None:
            self._finish(job, outcome)

    def on_trial_result(self, trial_id: str, result: dict[str, object]) -> None:
        """Do nothing: the scheduler has passed the result on already."""

    def __getstate__(self) -> dict[str, object]:
        """Return nothing: Tune pickles the searcher into a file that is never read, and a screen cannot be pickled."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study holds all state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a resume is a new Tuner over the same study."""

    @property
    def _idle(self) -> bool:
        """Whether a cluster had no job for so long that its nodes should be released."""
        return self.slots.wanted > self.slots.fit and time.monotonic() - self._fed >= _IDLE_S

    def _rests(self, free: int) -> int:
        """Return how many resting trials may wait for a worker."""
        if self.workers.empty:
            return 1
        if free > 0:
            return 0 if self._idle else free
        if self.workers.waiting:
            # The next free worker is for that job. Tune would give it to the newest trial, and resting trials would
            # swap the slot endlessly: after a node's death, which is noticed late, more jobs were given out than
            # there are slots.
            return 0
        beyond = self.slots.wanted - self.slots.fit
        return beyond if beyond > 0 and self.workers.warmed_up() and self._more() else 0

    def _more(self) -> bool:
        """Return whether there is a job to hand out; it is fetched and kept for the next free slot."""
        if not self._ready:
            job = self.work.next()
            self._ready.extend([job] if job else [])
        if self._ready:
            self._fed = time.monotonic()
        return bool(self._ready)

    def _take(self) -> Job | None:
        return self._ready.popleft() if self._more() else None

    def _close_waiting(self) -> None:
        """When the run is closing, finish the jobs without a worker as stopped."""
        if not self.work.closing:
            return
        self._ready.extend(self.jobs.pop(name) for name in self.workers.waiting)
        while self._ready:
            self._finish(self._ready.popleft(), Outcome("stopped"))

    def _in_vain(self, reason: str, job: Job | None) -> None:
        """Handle a worker that failed before it started anything, which is no job's fault; end the run if all do."""
        count = self.workers.deaths.in_vain()
        if count == 1:
            what = f"{job.id}, which goes to another" if job else "any trial"
            self.say(f"a worker could not start {what}: {reason}")
        if self.workers.deaths.hopeless:
            hint = "nothing finished is lost: mend what Ray says, and run the same command again"
            self.work.give_up(ClusterError(f"{count} workers in a row could not start: {reason}", hint=hint))

    def _finish(self, job: Job, outcome: Outcome) -> None:
        self.workers.deaths.forget(job.id)
        self.work.finish(job, outcome)

    def _outcome(self, trial_id: str, events: list[Event]) -> Outcome:
        if trial_id in self.stopped:
            return Outcome("stopped")
        self.tell(trial_id, events)
        return next(event for event in events if isinstance(event, Outcome))
