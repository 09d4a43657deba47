"""Counts of a running study, in numbers and words."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pdsearch.objectives import counts
from pdsearch.protocol import Job, Outcome
from pdsearch.specs import Params
from pdsearch.trial_record import TrialRecord

__all__ = ["PHASES", "Tally", "describe", "duration", "ending"]

PHASES = {
    "groundwork": "dense teachers and baseline",
    "search": "search",
    "comparison": "fair comparison",
    "topping up": "as many trials for every leader",
    "confirmation teachers": "dense teachers of the confirmation",
    "confirmation": "confirmation",
}


@dataclass
class Tally:
    """Counts of what has happened so far."""

    phase: str = ""
    total: int = 0
    done: int = 0
    phase_began: float = field(default_factory=time.monotonic)
    states: Counter[str] = field(default_factory=Counter)
    hits: int = 0
    built: int = 0
    saved_s: float = 0.0
    trained: int = 0
    best: tuple[float, str] | None = None
    began: float = field(default_factory=time.monotonic)

    def begin(self, name: str, total: int, done: int) -> None:
        """Enter a phase."""
        self.phase, self.total, self.done, self.phase_began = name, total, done, time.monotonic()

    def end(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Count a job that ended."""
        self.states[outcome.state if record is None else record.state] += 1
        uses = outcome.artifacts if record is None else record.artifacts
        self.hits += sum(use.hit for use in uses)
        self.built += sum(not use.hit for use in uses)
        self.saved_s += sum(use.seconds for use in uses if use.hit and use.stage != "student")
        self.trained += sum(outcome.epochs.values())
        if self.counts(job, record):
            self.done += 1
        value = None if record is None else record.values.get("student.val_accuracy")
        if record is None or job.kind != "search" or record.state not in ("complete", "stopped"):
            return
        if value is not None and (self.best is None or value > self.best[0]):
            self.best = (value, job.id)

    def counts(self, job: Job, record: TrialRecord | None) -> bool:
        """Return whether a job counts towards the phase's total."""
        return job.kind != "search" or (record is not None and counts(record.state))

    def left_s(self) -> float | None:
        """Return an estimate of the seconds left in the phase, from its jobs so far."""
        if not self.total or self.done < 2:
            return None
        return (time.monotonic() - self.phase_began) / self.done * max(0, self.total - self.done)


def describe(job: Job) -> str:
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


def duration(seconds: float) -> str:
    """Return a duration as text, in seconds, minutes or hours."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )
