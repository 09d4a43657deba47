"""Tune's scheduler: results go to the searcher, whose answer comes back as Tune's decision."""

from pathlib import Path
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from pdsearch.cluster.messages import REFUSAL, unpacked
from pdsearch.cluster.tune_searcher import JobSearcher
from pdsearch.protocol import Work

__all__ = ["JobScheduler", "Starts", "WhenDone"]

_LONGEST_REASON = 400


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
        """Hear that a trial's worker was lost or failed; the trial ends, so that of further reports nothing comes."""
        self._searcher.lose(trial.trial_id, reason_of(trial))

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        """Return Tune's word for "go on" or "stop"."""
        events = unpacked(result)
        if "node_ip" in result:  # Tune adds it.
            self._searcher.locate(trial.trial_id, result["node_ip"])
        if REFUSAL in result:
            self._searcher.park(trial.trial_id, result[REFUSAL])
            return str(TrialScheduler.CONTINUE)
        if trial.trial_id in self._searcher.jobs:
            stop = self._searcher.tell(trial.trial_id, events)
        else:
            stop = self._searcher.rest(trial.trial_id)
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)


class Starts(Callback):
    """Hears when a worker has been set up for a trial and starts it: what fails before that is not the trial's."""

    def __init__(self, searcher: JobSearcher) -> None:
        self._searcher = searcher

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as the searcher."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ARG002 - Tune's
        """Hear that a worker starts a trial."""
        self._searcher.workers.start(trial.trial_id)


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


def reason_of(trial: Trial) -> str:
    """Return what Ray said of a trial's failure, in one line; Tune writes it into a file and passes nothing on."""
    file = getattr(trial, "error_file", None)
    try:
        text = Path(file).read_text(errors="replace") if file else ""
    except OSError:
        text = ""
    # Tune's heading, then an exception: of one with a traceback the last line that is not indented (below it a hint may
    # stand), of another one what is not a table.
    lines = [line for line in text.rpartition("Failure # ")[2].splitlines()[1:] if line.strip()]
    traced = any(line.lstrip().startswith(("Traceback", "File ")) for line in lines)
    told = (
        [line for line in lines if not line[0].isspace()][-1:]
        if traced
        else [line for line in lines if not line.startswith("\t")]
    )
    reason = " ".join(" ".join(told).split())
    return reason[:_LONGEST_REASON] or "Ray gave no reason"
