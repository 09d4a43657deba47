"""Replayed searches: the product's own ledger, sampler and stopper over recorded trials.

Time is virtual: an epoch takes one unit on any worker, trials end in the order of their events, and a free worker is
given the next trial at once. Teachers are there already. Nothing is told between rungs: workers report at a rung and at
the end.
"""

import heapq
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.study import StudyDirection

from benchmarks.table import Table
from pdsearch.protocol import Job, Outcome, Ready, Report, StudentFacts
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.optuna_backend.convert import silence
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.optuna_backend.pruners import Stopper
from pdsearch.search.planning.outcomes import unbuilt_teacher
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description
from pdsearch.specs import derive_seed

NEIGHBOURS = 3
"""A point becomes one of so many nearest trials, by chance: with the nearest alone, a searcher that asks again around a
good point would be told exactly the same again, without the noise of real training."""

SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Way:
    """A way of searching.

    Args:
        name: What a table calls it.
        sampler: As in a space: "tpe", "random", or one by dotted path.
        stop: The space's `search.stop`, or None.
        rule: Another one in place of the product's, which decides at the same rungs.
    """

    name: str
    sampler: str = "tpe"
    stop: dict[str, Any] | None = None
    rule: Callable[[], BasePruner] | None = None


@dataclass(frozen=True)
class Played:
    """A trial that has ended: its row of the table, epochs trained, whether it was stopped, accuracy at its end.

    Epochs `spent` and `time` are those of the whole search at that moment.
    """

    row: int
    epochs: int
    stopped: bool
    value: float
    spent: int
    time: int


@dataclass
class Trace:
    """One search, replayed: trials in the order in which they ended, their records, and each rung's decisions in order.

    A decision is an epoch, the value there, and whether the trial was stopped.
    """

    played: list[Played] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)
    decisions: list[tuple[int, float, bool]] = field(default_factory=list)

    def best(self, *, epochs: int) -> float:
        """Return the best accuracy of a whole trial within so many epochs; 0 before there is one."""
        return max((p.value for p in self.played if not p.stopped and p.spent <= epochs), default=0.0)

    def first(self, value: float) -> int | None:
        """Return the index of the first whole trial as good as a value; None if none was."""
        good = (i for i, p in enumerate(self.played) if not p.stopped and p.value >= value)
        return next(good, None)


def replay(
    table: Table,
    way: Way,
    *,
    seed: int,
    workers: int,
    enough: Callable[[Trace], bool],
) -> Trace:
    """Search the table.

    Args:
        table: Recorded trials.
        way: How to search it.
        seed: Of the search.
        workers: Trials at a time.
        enough: Says when the search may end; asked after every trial.
    """
    silence()
    trace = Trace()
    # Records are files; none is to wait for a disk.
    where = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        ledger = _ledger(table, way, seed, Path(folder))
        at_work = _Workers(table, ledger, trace, seed)
        for _ in range(workers):
            at_work.start()
        while not enough(trace) and at_work.go_on():
            pass
        trace.records = list(ledger.records.finished.values())
    return trace


def _ledger(table: Table, way: Way, seed: int, folder: Path) -> Ledger:
    section = {"trials": 10**6, "sampler": way.sampler, "seed": seed, "stop": way.stop or "off"}
    space = table.space(folder, **section)
    directions = [StudyDirection[objective.goal.upper()] for objective in space.objectives]
    study = optuna.create_study(study_name=f"search-{seed}", directions=directions)
    describe = Description("0" * 64, "fp32", versions={})
    ledger = Ledger(study, space, Records(folder / "trials"), kind="search", describe=describe, single=False)
    if way.rule is not None:
        study.pruner = way.rule()
        ledger.stopper = _OptunaStopper(study)
    return ledger


class _OptunaStopper(Stopper):
    """Asks a study's own pruner."""

    def __init__(self, study: optuna.Study) -> None:
        super().__init__(None, (), ())
        self._study = study

    def stops(self, trial: str, epoch: int, value: float) -> bool:  # noqa: ARG002 - the study was told of both
        number = int(trial.rpartition("-")[2])
        return self._study.pruner.prune(self._study, self._study.get_trials(deepcopy=False)[number])


class _Workers:
    """Workers that only look up what a trial would have said.

    Args:
        table: Recorded trials.
        ledger: Of the search.
        trace: Where ended trials are noted.
        seed: Of the search.
    """

    def __init__(self, table: Table, ledger: Ledger, trace: Trace, seed: int) -> None:
        self._table, self._ledger, self._trace, self._seed = table, ledger, trace, seed
        self._spent, self._now, self._asked = 0, 0, 0
        self._running: list[tuple[int, int, Iterator[int]]] = []

    def start(self) -> None:
        """Give a free worker the next trial, if there is one."""
        job = self._ledger.ask()
        if job is not None:
            self._asked += 1
            self._wait(self._asked, self._steps(job))

    def go_on(self) -> bool:
        """Let the next event happen; False when nothing runs."""
        if not self._running:
            return False
        self._now, number, steps = heapq.heappop(self._running)
        if not self._wait(number, steps):
            self.start()
        return True

    def _wait(self, number: int, steps: Iterator[int]) -> bool:
        duration = next(steps, None)
        if duration is None:
            return False
        heapq.heappush(self._running, (self._now + duration, number, steps))
        return True

    def _row(self, job: Job) -> int:
        near = self._table.nearest(job.params, NEIGHBOURS)
        return near[derive_seed(self._seed, "row", job.number or 0) % len(near)]

    def _steps(self, job: Job) -> Iterator[int]:
        """Yield the epochs until the trial's next rung, or its end; then tell the ledger of them."""
        row = self._row(job)
        curve, epochs = self._table.curves[row], self._table.epochs
        self._ledger.tell(job, _ready(job))
        done, stop = 0, False
        for rung in (*job.decide_at, epochs):
            yield rung - done
            for epoch in range(done + 1, rung + 1):
                stop = self._ledger.tell(job, Report(epoch, epochs, float(curve[epoch - 1]), 0.0))
            self._spent, done = self._spent + rung - done, rung
            if rung < epochs:
                self._trace.decisions.append((rung, float(curve[rung - 1]), stop))
            if stop:
                break
        value = float(curve[done - 1])
        whole = Outcome("complete", values={"student.val_accuracy": value})
        self._ledger.finish(job, Outcome("stopped") if stop else whole)
        self._trace.played.append(Played(row, done, stop, value, self._spent, self._now))


def _ready(job: Job) -> Ready:
    spec = job.spec
    return Ready(unbuilt_teacher(spec), StudentFacts(model=spec.student.model))
