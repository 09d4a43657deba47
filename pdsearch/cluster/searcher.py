"""How does Tune get its trials, and where do its results go? From the agenda and back to it, with no memory of its own.

Tune gives a finished trial's actor to whichever trial waits, and cancels the actor that was starting for it. Where
trials are shorter than an actor's start, the second actor would never come up, and at the end of a phase all but one
would be dropped. So a slot without a job holds a *resting* trial: it keeps its actor until there is a job for it.
"""

import json
import time
from collections import deque
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from pdsearch.cluster.messages import unpacked
from pdsearch.events import Event, Outcome
from pdsearch.jobs import Job, Work, job_to_json

__all__ = ["JobScheduler", "JobSearcher"]

_WARM_UP_S = 15.0
"""Seconds after the first worker is up that the others are waited for; a cluster may still be growing."""


class JobSearcher(Searcher):
    """Asks the agenda for jobs and tells it how they end.

    Args:
        work: The agenda.
        place: What every worker is told of where it works.
        slots: Trials at once.
    """

    def __init__(self, work: Work, place: dict[str, Any], slots: int) -> None:
        super().__init__()
        self.work, self.place, self.slots = work, place, slots
        self.jobs: dict[str, Job] = {}
        self.stopped: set[str] = set()
        self._ready: deque[Job] = deque()
        self._up: set[str] = set()
        self._first_up: float | None = None

    def suggest(self, trial_id: str) -> Any:
        """Return the next job, a rest, or Tune's word for "nothing more"."""
        job = self._take() if self._warm else None
        if job is None:
            return str(Searcher.FINISHED) if self.work.done else {"job": None, "place": self.place}
        self.jobs[trial_id] = job
        return {"job": json.dumps(job_to_json(job)), "place": self.place}

    def rest(self, trial_id: str) -> bool:
        """Hear of a worker without a job; True ends its rest, because there is one now, or never will be."""
        self._up.add(trial_id)
        self._first_up = self._first_up or time.monotonic()
        if not self._warm:
            return False
        if not self._ready:
            job = self.work.next()
            self._ready.extend([job] if job else [])
        return bool(self._ready) or self.work.done

    def tell(self, trial_id: str, events: list[Event]) -> bool:
        """Pass a job's events on; True when the agenda wants it stopped."""
        job = self.jobs.get(trial_id)
        told = [self.work.tell(job, event) for event in events if job and not isinstance(event, Outcome)]
        if any(told):
            self.stopped.add(trial_id)
        return any(told)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Settle a job: stopped, ended, or lost with its worker."""
        job = self.jobs.get(trial_id)
        if job is None:
            return
        outcome = self._outcome(trial_id, unpacked(result), error)
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
    def _warm(self) -> bool:
        """Whether jobs are handed out: all workers are up, or have had time enough."""
        late = self._first_up is not None and time.monotonic() - self._first_up >= _WARM_UP_S
        return len(self._up) >= self.slots or late

    def _take(self) -> Job | None:
        return self._ready.popleft() if self._ready else self.work.next()

    def _outcome(self, trial_id: str, events: list[Event], error: bool) -> Outcome:
        if error:
            return Outcome("failed", "its worker was lost again and again")
        if trial_id in self.stopped:
            return Outcome("stopped")
        self.tell(trial_id, events)
        return next(event for event in events if isinstance(event, Outcome))


class JobScheduler(FIFOScheduler):
    """Passes results to the agenda and stops what it wants stopped."""

    def __init__(self, searcher: JobSearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ray has no types here
        self._searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as above."""
        return {}

    def on_trial_result(self, controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        """Return Tune's word for "go on" or "stop"."""
        if trial.trial_id in self._searcher.jobs:
            stop = self._searcher.tell(trial.trial_id, unpacked(result))
        else:
            stop = self._searcher.rest(trial.trial_id)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)
