"""The live screen of a running study.

Finished jobs scroll by; below them are the running ones with their progress, and the best result so far.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pdsearch.cli.progress.stats import PHASES, Tally, describe, duration, ending
from pdsearch.protocol import Event, Job, Outcome, Progress, Report
from pdsearch.trial_record import TrialRecord

__all__ = ["Screen"]

_STYLES = {"complete": "green", "stopped": "yellow", "infeasible": "yellow", "failed": "red"}


@dataclass
class _Running:
    job: Job
    stage: str = "starting"
    epoch: int = 0
    epochs: int = 0
    val_accuracy: float | None = None
    began: float = field(default_factory=time.monotonic)


class Screen:
    """A live screen; use it as a context manager, and as the observer of an agenda."""

    def __init__(self, console: Console, title: str) -> None:
        self.tally = Tally()
        self._console, self._title, self._began = console, title, time.monotonic()
        self._running: dict[str, _Running] = {}
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Screen":
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Remove the live part; the lines of finished jobs stay."""
        self._live.__exit__(*error)

    def phase(self, name: str, total: int, done: int) -> None:
        """Show which phase begins."""
        self.tally.begin(name, total, done)

    def started(self, job: Job) -> None:
        """Show a job among the running ones."""
        self._running[job.id] = _Running(job)

    def event(self, job: Job, event: Event) -> None:
        """Show how far a job is."""
        running = self._running[job.id]
        if isinstance(event, Progress):
            running.stage, running.epoch, running.epochs = (
                event.note or event.stage,
                event.epoch,
                event.epochs,
            )
            running.val_accuracy = event.val_accuracy
        elif isinstance(event, Report):
            running.stage, running.epoch, running.epochs = "distill", event.epoch, event.epochs
            running.val_accuracy = event.val_accuracy

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Print a finished job above the running ones."""
        self._running.pop(job.id, None)
        self.tally.end(job, outcome, record)
        state = outcome.state if record is None else record.state
        line = Text(f"{job.id:<28} ", style="dim").append(f"{describe(job):<66}  ", style="default")
        self._live.console.print(line.append(ending(outcome, record), style=_STYLES.get(state, "default")))

    def say(self, text: str) -> None:
        """Print a message above the running jobs."""
        self._live.console.print(Text(text))

    def _render(self) -> RenderableType:
        return Group(self._head(), self._jobs(), self._foot())

    def _head(self) -> RenderableType:
        tally = self.tally
        row = Table.grid(padding=(0, 2))
        cells: list[RenderableType] = [
            Text(self._title, style="bold"),
            Text(PHASES.get(tally.phase, "starting the workers")),
        ]
        if tally.total:
            cells += [
                ProgressBar(tally.total, min(tally.done, tally.total), width=30),
                Text(f"{tally.done}/{tally.total}"),
            ]
        left = tally.left_s()
        if left is not None:
            cells.append(Text(f"about {duration(left)} left", style="dim"))
        row.add_row(*cells)
        return row

    def _jobs(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for running in list(self._running.values()):
            bar = ProgressBar(running.epochs, running.epoch, width=16) if running.epochs else Text("")
            value = "" if running.val_accuracy is None else f"{100 * running.val_accuracy:.2f} %"
            epochs = f"{running.epoch}/{running.epochs}" if running.epochs else ""
            table.add_row(
                Text(running.job.id, style="dim"),
                describe(running.job),
                Text(running.stage),
                bar,
                epochs,
                value,
            )
        return table

    def _foot(self) -> RenderableType:
        tally = self.tally
        best = f"best {100 * tally.best[0]:.2f} % ({tally.best[1]})" if tally.best else "no trial yet"
        counts = "  ".join(f"{count} {state}" for state, count in sorted(tally.states.items()))
        shares = f"{tally.hits} artifacts reused ({duration(tally.saved_s)} saved), {tally.built} made"
        elapsed = duration(time.monotonic() - self._began)
        return Text(f"{elapsed}  {best}  {counts}  {shares}", style="cyan")
