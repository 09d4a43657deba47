"""How does Tune hear what the agenda decides? Results go to the searcher, its answer comes back as Tune's word."""

from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from pdsearch.cluster.messages import REFUSAL, unpacked
from pdsearch.cluster.searcher import JobSearcher
from pdsearch.jobs import Work

__all__ = ["JobScheduler", "WhenDone"]


class JobScheduler(FIFOScheduler):
    """Passes results to the agenda and stops what it wants stopped."""

    def __init__(self, searcher: JobSearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ray has no types here
        self._searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the searcher."""
        return {}

    def choose_trial_to_run(self, tune_controller: object) -> Trial | None:  # noqa: ARG002 - Tune's
        """Return none: a chosen trial would take the next free actor, and the one that starts for it be cancelled."""
        return None

    def on_trial_error(self, tune_controller: object, trial: Trial) -> None:  # noqa: ARG002 - Tune's
        """Hear that a trial lost its worker."""
        if not self._searcher.lose(trial.trial_id):
            trial.run_metadata.num_failures -= 1

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        """Return Tune's word for "go on" or "stop"."""
        events = unpacked(result)
        if "node_ip" in result:  # Tune adds it.
            self._searcher.locate(trial.trial_id, result["node_ip"])
        if REFUSAL in result:
            self._searcher.park(trial.trial_id, result[REFUSAL])
            return str(TrialScheduler.CONTINUE)
        if trial.trial_id in self._searcher.jobs:
            if self._searcher.recovered(trial.trial_id, events):
                # What is bounded is losses in a row, without a step ahead between them: on nodes that are lent, a
                # trial of days may well be moved more often than that.
                trial.run_metadata.num_failures = 0
            stop = self._searcher.tell(trial.trial_id, events)
        else:
            stop = self._searcher.rest(trial.trial_id)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)


class WhenDone(Stopper):
    """Ends Tune with the agenda, whatever still waits for a worker."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the searcher."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - Tune's
        """Return False: the scheduler says when a trial ends."""
        return False

    def stop_all(self) -> bool:
        """Say whether all is done."""
        return self._work.done
