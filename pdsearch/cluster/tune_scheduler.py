"""Tune scheduler that passes results to the searcher and returns its answer as Tune's decision."""

from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from pdsearch.cluster.messages import REFUSAL, events_of
from pdsearch.cluster.tune_searcher import JobSearcher

_LONGEST_REASON = 400


class JobScheduler(FIFOScheduler):
    """Passes results to the study's scheduler and stops the trials that it wants stopped."""

    def __init__(self, searcher: JobSearcher) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ray has no types here
        self._searcher = searcher

    def __getstate__(self) -> dict[str, object]:
        """Return nothing, as for the searcher."""
        return {}

    def choose_trial_to_run(self, tune_controller: object) -> Trial | None:  # noqa: ARG002 - Tune's
        """Return None: a chosen trial would take the next free actor, and the one starting for it be cancelled."""
        return None

    def on_trial_error(self, tune_controller: object, trial: Trial) -> None:  # noqa: ARG002 - Tune's
        """Handle the loss or failure of a trial's worker; the trial ends, so that further reports have no effect."""
        self._searcher.lose(trial.trial_id, reason_of(trial))

    def on_trial_result(self, tune_controller: object, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ARG002 - Tune's
        """Return Tune's constant for "continue" or "stop"."""
        events = events_of(result)
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
    """Records when a worker has been set up for a trial and starts it: what fails before is not the trial's fault."""

    def __init__(self, searcher: JobSearcher) -> None:
        self._searcher = searcher

    def __getstate__(self) -> dict[str, object]:
        """Return nothing, as for the searcher."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:  # noqa: ARG002 - Tune's
        """Record that a worker starts a trial."""
        self._searcher.start(trial.trial_id)


def reason_of(trial: Trial) -> str:
    """Return Ray's reason for a trial's failure, in one line; Tune only writes it to a file."""
    file = getattr(trial, "error_file", None)
    try:
        text = Path(file).read_text(errors="replace") if file else ""
    except OSError:
        text = ""
    # The file has Tune's heading, then an exception. With a traceback its last unindented line is the reason (an
    # indented hint may follow), without one the lines that are not part of a table.
    lines = [line for line in text.rpartition("Failure # ")[2].splitlines()[1:] if line.strip()]
    traced = any(line.lstrip().startswith(("Traceback", "File ")) for line in lines)
    told = (
        [line for line in lines if not line[0].isspace()][-1:]
        if traced
        else [line for line in lines if not line.startswith("\t")]
    )
    reason = " ".join(" ".join(told).split())
    return reason[:_LONGEST_REASON] or "Ray gave no reason"
