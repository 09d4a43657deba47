"""Progress of a running study: counts in numbers and words, and plain lines or JSON lines of it."""

import json
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Self

from pdsearch.objectives import counts_as_trial
from pdsearch.observer import Observer
from pdsearch.protocol import Event, Job, Outcome, Progress, Report, event_to_json
from pdsearch.records.trial_record import TrialRecord
from pdsearch.specs import Params

PHASES = {
    "groundwork": "dense teachers and baseline",
    "search": "search",
    "comparison": "fair comparison",
    "topping up": "as many trials for every leader",
    "confirmation teachers": "dense teachers of the confirmation",
    "confirmation": "confirmation",
}


_KINDS = {
    "teacher": ("dense teacher", "dense teachers"),
    "baseline": ("baseline", "baselines"),
    "search": ("search trial", "search trials"),
    "confirm": ("confirmation student", "confirmation students"),
}

_RECENT, _FEWEST = 20, 3
"""Jobs of a phase whose durations foretell those to come, at most and at least: later ones find more artifacts."""

_REST = 0.1
"""Share of a usual duration that a job is taken to need that runs for longer than that already."""


class Tally(Observer):
    """Counts of what this run has done, and the best trial of all runs; every way of showing a run derives from it.

    Attributes:
        current: Name of the current phase.
        total: Its jobs; 0 where it has none.
        done: Those of them that are done, in earlier runs too.
        states: Jobs that ended in this run, by (kind, state).
        hits: Artifacts that were found.
        built: Artifacts that were made.
        saved_s: Seconds of training that the found ones once took.
        trained: Epochs trained.
        best: Highest validation accuracy of a complete search trial of any run, and that trial.
        began: When this run began, by the monotonic clock.
    """

    def __init__(self) -> None:
        self.current, self.total, self.done = "", 0, 0
        self.states: Counter[tuple[str, str]] = Counter()
        self.hits, self.built, self.saved_s, self.trained = 0, 0, 0.0, 0
        self.best: tuple[float, str] | None = None
        self.began = time.monotonic()
        self._started_at: dict[str, float] = {}
        self._at_once = 0
        self._took: deque[float] = deque(maxlen=_RECENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release what shows the run."""

    def opened(self, finished: Iterable[TrialRecord]) -> None:
        """Take over the best trial of earlier runs."""
        for record in finished:
            self._note_best(record.kind, record.id, record)

    def phase(self, name: str, total: int, done: int) -> None:
        """Enter a phase; its jobs take other times than those before."""
        self.current, self.total, self.done, self._at_once = name, total, done, 0
        self._took.clear()

    def started(self, job: Job) -> None:
        """Note when a job started."""
        self._started_at[job.id] = time.monotonic()
        self._at_once = max(self._at_once, len(self._started_at))

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Count a job that ended."""
        self.states[job.kind, outcome.state if record is None else record.state] += 1
        uses = outcome.artifacts if record is None else record.artifacts
        self.hits += sum(use.hit for use in uses)
        self.built += sum(not use.hit for use in uses)
        self.saved_s += sum(use.seconds for use in uses if use.hit and use.stage != "student")
        self.trained += sum(outcome.epochs.values())
        began = self._started_at.pop(job.id, None)
        # A failed search trial does not count towards the phase's total.
        if job.kind != "search" or (record is not None and counts_as_trial(record.state)):
            self.done += 1
            if began is not None:
                self._took.append(time.monotonic() - began)
        if record is not None:
            self._note_best(job.kind, job.id, record)

    def _note_best(self, kind: str, name: str, record: TrialRecord) -> None:
        """A stopped trial is not the best: its accuracy is that of fewer epochs."""
        value = record.values.get("student.val_accuracy")
        if kind != "search" or record.state != "complete" or value is None:
            return
        if self.best is None or value > self.best[0]:
            self.best = (value, name)

    def left_s(self) -> float | None:
        """Return an estimate of the seconds left in the phase; None as long as too little of it has been seen.

        What has not begun takes as long as the phase's recent jobs did on average, what runs takes the rest of that,
        and as many jobs run at once as have done so far.
        """
        if not self.total or len(self._took) < max(_FEWEST, self._at_once):
            return None
        each, moment = sum(self._took) / len(self._took), time.monotonic()
        rests = [max(each - (moment - began), _REST * each) for began in self._started_at.values()]
        waiting = max(0, self.total - self.done - len(rests))
        return max((waiting * each + sum(rests)) / max(1, self._at_once), *rests, 0.0)

    def kinds(self) -> str:
        """Return how many jobs of each kind ended in this run, and how."""
        parts = []
        for kind, (one, more) in _KINDS.items():
            found = {state: count for (of, state), count in sorted(self.states.items()) if of == kind}
            if not found:
                continue
            total = sum(found.values())
            told = ", ".join(f"{count} {state}" for state, count in found.items() if state != "complete")
            parts.append(f"{total} {one if total == 1 else more}" + (f" ({told})" if told else ""))
        return ", ".join(parts)


def describe_job(job: Job) -> str:
    """Return a short description of a job: teacher, loss, what was sampled."""
    prune, distill = job.spec.prune, job.spec.distill
    taught_by = f"  teacher seed {job.spec.teacher.seed}" if job.spec.teacher.seed else ""
    model, file = job.spec.teacher.model, job.spec.teacher.checkpoint
    if job.kind == "teacher":
        said = f"train {model}{taught_by}" if job.spec.teacher.trained_here else f"read {model}"
        return f"{said} from {Path(file).name}" if file else said
    if distill.loss == "ce":
        return f"student alone  seed {distill.seed}"
    teacher = (
        [f"{model} {prune.method} {prune.ratio:g}", *_shown(prune.params)] if prune else [f"{model} unpruned"]
    )
    words = [*teacher, distill.loss, *_shown(distill.params)]
    return "  ".join(words) + (f"{taught_by}  seed {distill.seed}" if job.kind == "confirm" else "")


def _shown(params: Params) -> list[str]:
    return [
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in params
        if value is not False
    ]


def ending(outcome: Outcome, record: TrialRecord | None) -> str:
    """Return how a job ended, in a line."""
    state = outcome.state if record is None else record.state
    if state == "failed":
        reason = (outcome.reason if record is None else record.reason) or ""
        return f"failed: {reason.splitlines()[0] if reason else ''}"
    if record is None:
        own = outcome.values.get("teacher.val_accuracy")
        return "done" if own is None else f"val {100 * own:.2f} %"
    value, tested = record.values.get("student.val_accuracy"), record.test
    shown = f"val {100 * value:.2f} %" if value is not None else (record.reason or "done")
    if value is None and tested:
        shown = f"test {100 * tested['student.accuracy']:.2f} %"
    if state == "infeasible":
        return f"infeasible: {record.reason}"
    return f"{shown}  stopped at epoch {len(record.reports)}" if state == "stopped" else shown


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


def doing(event: Progress | Report) -> str:
    """Return what a job does, in a word or two."""
    return "distill" if isinstance(event, Report) else event.note or event.stage


def _far(event: Progress | Report) -> str:
    epochs = f"  epoch {event.epoch}/{event.epochs}" if event.epochs else ""
    value = "" if event.val_accuracy is None else f"  val {100 * event.val_accuracy:.2f} %"
    return f"{doing(event)}{epochs}{value}"


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

    def _write(self, value: dict[str, object]) -> None:
        print(json.dumps(value), file=self._stream, flush=True)
