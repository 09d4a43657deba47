"""Progress of a study where there is no terminal: plain lines, or JSON lines for programs."""

import json
import time
from typing import IO, Any

from pdsearch.cli.progress.stats import PHASES, Tally, describe_job, ending
from pdsearch.protocol import Event, Job, Outcome, Progress, Report, event_to_json
from pdsearch.records.trial_record import TrialRecord

SILENCE_S = 60
"""Seconds without output after which a running job's progress is printed."""


class Lines(Tally):
    """Prints one plain line a job, and one a minute while none ends: for a log, a pipe, a job without a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream, self._said = stream, self.began

    def phase(self, name: str, total: int, done: int) -> None:
        """Print which phase begins."""
        super().phase(name, total, done)
        if total > done:
            self.say(f"{PHASES[name]}: {total - done} to do")

    def event(self, job: Job, event: Event) -> None:
        """Print how far a job is after a minute without output; a line an epoch is noise in a log."""
        if isinstance(event, Progress | Report) and time.monotonic() - self._said >= SILENCE_S:
            self.say(f"{job.id}  {describe_job(job)}  {_far(event)}")

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Print how a job ended."""
        super().ended(job, outcome, record)
        of = f"/{self.total}" if self.total else ""
        # The search's best is no result of a confirmation job, and would look like one in its line.
        shown = self.best if job.kind == "search" else None
        best = f"  best {100 * shown[0]:.2f} %" if shown else ""
        self.say(f"{self.done}{of}  {job.id}  {describe_job(job)}  {ending(outcome, record)}{best}")

    def say(self, text: str) -> None:
        """Print a message."""
        self._said = time.monotonic()
        print(f"[{time.monotonic() - self.began:7.1f} s] {text}", file=self._stream, flush=True)


def _far(event: Progress | Report) -> str:
    doing = "distill" if isinstance(event, Report) else event.note or event.stage
    epochs = f"  epoch {event.epoch}/{event.epochs}" if event.epochs else ""
    value = "" if event.val_accuracy is None else f"  val {100 * event.val_accuracy:.2f} %"
    return f"{doing}{epochs}{value}"


class JsonLines(Tally):
    """Prints one JSON object an event, for programs."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

    def phase(self, name: str, total: int, done: int) -> None:
        """Write that a phase begins."""
        super().phase(name, total, done)
        self._write({"event": "phase", "phase": name, "total": total, "done": done})

    def started(self, job: Job) -> None:
        """Write that a job starts."""
        super().started(job)
        self._write({"event": "started", "id": job.id, "kind": job.kind, "params": dict(job.params)})

    def event(self, job: Job, event: Event) -> None:
        """Write a job's event."""
        self._write({"id": job.id, **event_to_json(event)})

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Write how a job ended."""
        super().ended(job, outcome, record)
        end = outcome if record is None else record
        self._write({"event": "ended", "id": job.id, "state": end.state, "values": dict(end.values)})

    def say(self, text: str) -> None:
        """Write a message."""
        self._write({"event": "note", "text": text})

    def _write(self, value: dict[str, Any]) -> None:
        print(json.dumps(value), file=self._stream, flush=True)
