"""How does Tune get its trials, and where do its results go? From the agenda and back to it, with no memory of its own."""

import json
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from pdsearch.cluster.messages import unpacked
from pdsearch.events import Event, Outcome
from pdsearch.jobs import Job, Work, job_to_json

__all__ = ["JobScheduler", "JobSearcher"]


class JobSearcher(Searcher):  # type: ignore[misc]  # ray has no types here
    """Asks the agenda for jobs and tells it how they end.

    Args:
        work: The agenda.
        place: What every worker is told of where it works.
    """

    def __init__(self, work: Work, place: dict[str, Any]) -> None:
        super().__init__()
        self.work, self.place = work, place
        self.jobs: dict[str, Job] = {}
        self.stopped: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next job, None for "not now", or Tune's word for "nothing more"."""
        job = self.work.next()
        if job is None:
            return str(Searcher.FINISHED) if self.work.done else None
        self.jobs[trial_id] = job
        return {"job": json.dumps(job_to_json(job)), "place": self.place}

    def tell(self, trial_id: str, events: list[Event]) -> bool:
        """Pass a job's events on; True when the agenda wants it stopped."""
        job = self.jobs.get(trial_id)
        told = [self.work.tell(job, event) for event in events if job and not isinstance(event, Outcome)]
        if any(told):
            self.stopped.add(trial_id)
        return any(told)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Settle a job: stopped, ended, or lost with its worker."""
        job = self.jobs.get(trial_id)
        if job is None:
            return
        events = unpacked(result)
        if trial_id not in self.stopped and not error:
            self.tell(trial_id, events)
        outcome = next((event for event in events if isinstance(event, Outcome)), None)
        if error or (outcome is None and trial_id not in self.stopped):
            outcome = Outcome("failed", "its worker was lost again and again")
        elif trial_id in self.stopped and outcome is None:
            outcome = Outcome("stopped")
        del self.jobs[trial_id]
        assert outcome is not None
        self.work.finish(job, outcome)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing: the scheduler has passed the result on already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the only ledger."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resume is a new Tuner over the same study."""


class JobScheduler(FIFOScheduler):  # type: ignore[misc]  # ray has no types here
    """Passes results to the agenda and stops what it wants stopped."""

    def __init__(self, searcher: JobSearcher) -> None:
        super().__init__()
        self._searcher = searcher

    def on_trial_result(self, controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        """Return Tune's word for "go on" or "stop"."""
        stop = self._searcher.tell(trial.trial_id, unpacked(result))
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)
