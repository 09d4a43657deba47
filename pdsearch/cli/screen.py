"""The live screen of a running study.

Finished jobs scroll by; below them are the running ones with their progress, and the best result so far.
"""

import time
from collections import Counter
from dataclasses import dataclass, field
from math import ceil

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pdsearch.cli.console import about, duration_text
from pdsearch.cli.progress import PHASES, Tally, describe_job, doing, ending
from pdsearch.protocol import Event, Job, Outcome, Progress, Report
from pdsearch.records.trial_record import TrialRecord

_WIDE = 110
"""Columns from which on a line has room for a bar, and for what was tried in full."""

_OTHER_LINES = 5
"""Lines of the terminal that are not for running jobs: the first, the last two, and some of what has ended."""

_STYLES = {"complete": "green", "stopped": "yellow", "infeasible": "yellow", "failed": "red"}


@dataclass
class _Running:
    job: Job
    stage: str = "starting"
    epoch: int = 0
    epochs: int = 0
    val_accuracy: float | None = None
    began: float = field(default_factory=time.monotonic)


class Screen(Tally):
    """A live screen; use it as a context manager, and as the observer of a scheduler."""

    def __init__(self, console: Console, title: str) -> None:
        super().__init__()
        self._console, self._title = console, title
        self._running: dict[str, _Running] = {}
        self._drawn: tuple[int, list[int]] = (console.width, [])
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Screen":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the live part; the lines of finished jobs stay."""
        self._live.stop()

    def started(self, job: Job) -> None:
        """Show a job among the running ones."""
        super().started(job)
        self._running[job.id] = _Running(job)

    def event(self, job: Job, event: Event) -> None:
        """Show how far a job is."""
        running = self._running[job.id]
        if isinstance(event, Progress | Report):
            running.stage, running.epoch, running.epochs = doing(event), event.epoch, event.epochs
            running.val_accuracy = event.val_accuracy

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Print a finished job above the running ones."""
        self._running.pop(job.id, None)
        super().ended(job, outcome, record)
        state, end = outcome.state if record is None else record.state, ending(outcome, record)
        wide, width = self._console.width >= _WIDE, self._console.width
        row = Table.grid(padding=(0, 2), expand=not wide)
        self._add_names(row)
        row.add_column(no_wrap=True, overflow="ellipsis", ratio=None if wide else 1, min_width=8)
        row.add_column(no_wrap=True, overflow="ellipsis", style=_STYLES.get(state, ""), max_width=width // 2)
        row.add_row(
            f"{job.id:<28}" if wide else job.id,
            f"{describe_job(job):<66}" if wide else describe_job(job),
            Text(end),
        )
        self._live.console.print(row)

    def say(self, text: str) -> None:
        """Print a message above the running jobs."""
        self._live.console.print(Text(text))

    def _render(self) -> RenderableType:
        """Return the live part: as high as the terminal at most, no line of it wider."""
        found = Group(self._head(), self._jobs(self._console.height - _OTHER_LINES), self._foot())
        self._after_resize(found)
        return found

    def _after_resize(self, found: RenderableType) -> None:
        """Have what was drawn before removed whole: a narrower terminal has wrapped its lines, and it is higher now."""
        width, before = self._drawn
        now = self._console.width
        if now < width and before:
            self._live._live_render._shape = (now, sum(max(1, ceil(cells / now)) for cells in before))
        lines = self._console.render_lines(found, pad=False)
        self._drawn = now, [sum(segment.cell_length for segment in line) for line in lines]

    def _head(self) -> RenderableType:
        wide = self._console.width >= _WIDE
        row = Table.grid(padding=(0, 2), expand=not wide)
        row.add_column(no_wrap=True, overflow="ellipsis", min_width=6)
        row.add_column(no_wrap=True, overflow="ellipsis", ratio=None if wide else 1, min_width=6)
        row.add_column(no_wrap=True)
        row.add_column(no_wrap=True)
        row.add_column(no_wrap=True, overflow="ellipsis")
        cells: list[RenderableType] = [
            Text(self._title, style="bold"),
            Text(PHASES.get(self.current, "starting the workers")),
        ]
        if self.total:
            cells += [
                ProgressBar(self.total, min(self.done, self.total), width=min(30, self._console.width // 6)),
                Text(f"{self.done}/{self.total}"),
            ]
        left = self.left_s()
        if left is not None:
            cells.append(Text(f"about {about(left)} left{' in this phase' if wide else ''}", style="dim"))
        row.add_row(*cells)
        return row

    def _add_names(self, table: Table) -> None:
        """Add the column of jobs' names, as wide above the bar as below it."""
        table.add_column(
            no_wrap=True,
            overflow="ellipsis",
            min_width=min(12, self._console.width // 4),
            max_width=28 if self._console.width >= _WIDE else 14,
            style="dim",
        )

    def _jobs(self, most: int) -> RenderableType:
        """Return a line for each running job, the longest running first, and one for those that find no place."""
        wide = self._console.width >= _WIDE
        table = Table.grid(padding=(0, 2), expand=not wide)
        self._add_names(table)
        # What was tried gives way first: without a share of its own rich would cut epochs and accuracies alike.
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=None if wide else 1, min_width=8)
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=7)
        for _ in range(3 if wide else 2):
            table.add_column(no_wrap=True)
        every = list(self._running.values())
        shown = every if len(every) <= most else every[: max(1, most - 1)]
        for running in shown:
            bar = ProgressBar(running.epochs, running.epoch, width=16) if running.epochs else Text("")
            value = "" if running.val_accuracy is None else f"{100 * running.val_accuracy:.2f} %"
            epochs = f"{running.epoch}/{running.epochs}" if running.epochs else ""
            bars = [bar] if wide else []
            table.add_row(running.job.id, describe_job(running.job), running.stage, *bars, epochs, value)
        rest = Counter("starting" if one.stage == "starting" else "at work" for one in every[len(shown) :])
        if not rest:
            return table
        more = ", ".join(f"{count} {doing}" for doing, count in sorted(rest.items()))
        return Group(
            table, Text(f"and {rest.total()} more: {more}", style="dim", no_wrap=True, overflow="ellipsis")
        )

    def _foot(self) -> RenderableType:
        best = f"best {100 * self.best[0]:.2f} % ({self.best[1]})" if self.best else "no complete trial yet"
        parts = [duration_text(time.monotonic() - self.began), best]
        if self.hits + self.built:
            reused = f"{self.hits} artifact{'' if self.hits == 1 else 's'} reused"
            parts.append(f"{reused} ({duration_text(self.saved_s)} saved), {self.built} made")
        lines = ["  ".join(parts), *([f"this run: {self.kinds()}"] if self.states else [])]
        return Group(*(Text(line, style="cyan", no_wrap=True, overflow="ellipsis") for line in lines))
