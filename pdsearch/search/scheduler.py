"""Schedule of a study's jobs, phase by phase, until all have ended or the study is ended early.

Every phase can be entered again at any time: finished jobs are not asked again, so resuming is the same as running.

The scheduler is a runner's only interface to a study (`pdsearch.protocol.Work`).
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain

from pdsearch.errors import FailureLimitError, PdsearchError, StorageError
from pdsearch.io import Place, Remote
from pdsearch.io import replace as replace_file
from pdsearch.io.studies import Elapsed, elapsed
from pdsearch.io.studies import RunningPhase as CurrentPhase
from pdsearch.observer import Observer
from pdsearch.protocol import Event, Job, Outcome, refused_by
from pdsearch.records.codec import encode
from pdsearch.search.confirmation.fairness import owed
from pdsearch.search.confirmation.jobs import DerivedJobs
from pdsearch.search.maintenance import how_again
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.preflight.dry_run import teacher_jobs
from pdsearch.search.records import Live, now

_SAVE_EVERY_S, _STORE_EVERY_S = 5.0, 30.0


class Clock:
    """Total running time of a study's drivers and of its jobs' GPUs, and the phase it is in.

    A killed driver loses what followed its last save.

    Args:
        path: Of its file; None keeps none.
        gpu: The share of a GPU that a job has.
    """

    def __init__(self, path: Place | None = None, gpu: float = 0.0) -> None:
        self._path, self._gpu = path, gpu
        self._every = _STORE_EVERY_S if isinstance(path, Remote) else _SAVE_EVERY_S
        before = elapsed(path) if path else Elapsed()
        self._before, self._ended = before.seconds, before.gpu_seconds
        self._start = self._saved = time.monotonic()
        self._running: dict[str, float] = {}
        self._phase = CurrentPhase()

    def phase(self, name: str, total: int, done: int) -> None:
        """Note which phase begins, for `pdsearch show`: its jobs in all, and those done before."""
        self._phase = CurrentPhase(name, total, done, now())
        self.save()

    def seconds(self) -> float:
        """Return the seconds so far, saving them periodically."""
        moment = time.monotonic()
        total = self._before + moment - self._start
        if moment - self._saved >= self._every:
            self._saved = moment
            self.save()
        return total

    def gpu_seconds(self) -> float:
        """Return the GPU seconds of all jobs so far, running ones included."""
        moment = time.monotonic()
        return self._ended + self._gpu * sum(moment - began for began in self._running.values())

    def busy(self, job: str, is_busy: bool) -> None:
        """Note that a worker is at a job, or no longer."""
        if is_busy:
            self._running.setdefault(job, time.monotonic())
        elif job in self._running:
            self._ended += self._gpu * (time.monotonic() - self._running.pop(job))
        self.seconds()

    def save(self, *, hasty: bool = False) -> None:
        """Write the seconds so far."""
        if self._path is not None:
            total = self._before + time.monotonic() - self._start
            state = Elapsed(round(total, 3), round(self.gpu_seconds(), 3), self._phase)
            replace_file(self._path, json.dumps(encode(state)).encode(), hasty=hasty)

    def close(self) -> None:
        """Write them without waiting for a storage that does not answer: the run is ending, and a few may be lost."""
        with suppress(StorageError):
            self.save(hasty=True)


@dataclass(frozen=True)
class Phase:
    """A part of a study's work; it ends when the last of its jobs has.

    Args:
        name: Its name for the user.
        total: Jobs in all.
        done: Jobs done before.
        jobs: Those to do; None among them means that a running job must end first.
    """

    name: str
    total: int
    done: int
    jobs: Iterator[Job | None]


@dataclass(frozen=True)
class Phases:
    """All phases of a study."""

    derived: DerivedJobs
    search: Ledger
    unpruned: Ledger
    built: Callable[[Job], bool]
    clock: Clock
    say: Callable[[str], None] = lambda _text: None

    def in_order(self) -> Iterator[Phase]:
        """Yield the phases in order; each is made when it is reached, from the results of those before it."""
        space = self.derived.space
        yield self._groundwork()
        if self._is_searched:
            yield self._searching()
            if cut := self.cut_by():
                self.say(f"{cut} is used up: no further trial is begun")
        if space.compared:
            yield self._comparing()
            yield self._left("topping up", self.derived.topping_up())
        if space.confirm is not None and space.confirm.teacher_seeds > 1:
            yield self._left("confirmation teachers", self._missing(self.derived.teachers_to_confirm()))
        yield self._left("confirmation", self.derived.confirming())

    @property
    def _is_searched(self) -> bool:
        """Whether there is a search: without validation images all configurations are confirmed instead."""
        return self.derived.space.validated or self.derived.space.confirm is None

    def idle(self) -> bool:
        """Return whether everything is done already, so that no worker need be started; samples nothing."""
        space, derived = self.derived.space, self.derived
        if not self._is_searched:
            return not derived.missing(derived.confirming())
        enough = self.search.finished >= space.search.trials or self.search.exhausted
        searched = enough and not self.search.owed
        if not space.compared:
            return searched
        compared = self.unpruned.finished >= self._owed() and not self.unpruned.owed
        jobs = chain(derived.student_alone(), derived.topping_up(), derived.confirming())
        return searched and compared and not derived.missing(jobs)

    def _left(self, name: str, jobs: Iterable[Job]) -> Phase:
        """Return a phase of those jobs that have no finished record yet."""
        every = list(jobs)
        missing = self.derived.missing(every)
        return Phase(name, len(every), len(every) - len(missing), iter(missing))

    def _missing(self, teachers: Iterable[Job]) -> list[Job]:
        return [job for job in teachers if not self.built(job)]

    def _groundwork(self) -> Phase:
        """Return the phase of the dense teachers, with the student alone beside them, so that no worker is idle."""
        teachers = teacher_jobs(self.derived.space, self.derived.describe)
        alone = self.derived.student_alone() if self.derived.space.compared else ()
        return self._left("groundwork", [*self._missing(teachers), *alone])

    def _searching(self) -> Phase:
        wanted = self.derived.space.search.trials
        asked = _asking(self.search, wanted, lambda: self.spent() is not None)
        return Phase("search", wanted, self.search.finished, asked)

    def spent(self) -> str | None:
        """Return which limit of the search is used up, as the key of the space file; None while none is."""
        search = self.derived.space.search
        if search.timeout is not None and self.clock.seconds() >= search.timeout:
            return "search.timeout"
        if search.gpu_hours is not None and self.clock.gpu_seconds() >= 3600 * search.gpu_hours:
            return "search.gpu_hours"
        return None

    def cut_by(self) -> str | None:
        """Return which limit ended the search before it had all its trials; None where none did."""
        complete = self.search.finished >= self.derived.space.search.trials or self.search.exhausted
        return None if complete or not self._is_searched else self.spent()

    def _comparing(self) -> Phase:
        """Return the phase that gives the unpruned teacher as many trials of its own as a leading one had."""
        wanted = self._owed()
        done = min(wanted, self.unpruned.finished)
        return Phase("comparison", wanted, done, _asking(self.unpruned, wanted, lambda: False))

    def _owed(self) -> int:
        space = self.derived.space
        teachers = space.confirm.teachers if space.confirm else 1
        return owed(self.derived.counting(), teachers=teachers, aims=space.aims)


def _asking(ledger: Ledger, wanted: int, late: Callable[[], bool]) -> Iterator[Job | None]:
    while True:
        # Retries are asked, whether or not the wanted number is reached.
        again = ledger.owed
        if (ledger.finished >= wanted and not again) or ledger.exhausted or late():
            return
        if ledger.finished + len(ledger.live) >= wanted and not again:
            yield None
            continue
        job = ledger.ask()
        if job is not None:
            yield job


class Scheduler:
    """The work of one study, phase by phase; see `pdsearch.protocol.Work` for how a runner drives it.

    Args:
        phases: What there is to do.
        observer: Receives what happens.
        forget: Removes the checkpoint of a key that will not be resumed.
        fence: Raises where another driver has taken the study over; called before anything is written.
    """

    def __init__(
        self,
        phases: Phases,
        *,
        observer: Observer,
        forget: Callable[[str], None],
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        derived = phases.derived
        self.space, self.describe, self.records = derived.space, derived.describe, derived.records
        self.search, self.unpruned, self.observer = phases.search, phases.unpruned, observer
        self.phases, self.forget, self._fence = phases, forget, fence
        self._clock = phases.clock
        self._live: dict[str, Live] = {}
        self._next_phases = phases.in_order()
        self._jobs: Iterator[Job | None] = iter(())
        self._open = True
        self.interrupted = False
        self.failure: PdsearchError | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to start and nothing is running."""
        return not self._open and not self._live

    @property
    def closing(self) -> bool:
        """Whether the run was interrupted, or its storage failed."""
        return self.interrupted

    def idle(self) -> bool:
        """Return whether everything is done already, so that no worker need be started; samples nothing."""
        return self.phases.idle()

    def next(self) -> Job | None:
        """Return the next job, or None when nothing can be started until a running job ends, or for good.

        Raises:
            StudyHeldError: This process was silent for so long that another one has taken the study over.
        """
        self._fence()
        while self._open:
            for job in self._jobs:
                if job is not None:
                    self._start(job)
                return job
            if self._live:  # A phase ends when its last job has.
                return None
            self._advance()
        return None

    def busy(self, job: Job, is_busy: bool) -> None:
        """Note that a worker begins with a job, or that the job has lost it."""
        self._clock.busy(job.id, is_busy)

    def tell(self, job: Job, event: Event) -> bool:
        """Record an event of a running job; True asks the runner to close it."""
        self._clock.busy(job.id, True)
        self.observer.event(job, event)
        if self.interrupted:
            return True
        ledger = self._ledger(job)
        if ledger is not None:
            return ledger.tell(job, event)
        self._live[job.id].note(event)
        return False

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Record a job's outcome; its record is on disk when this returns.

        When too many trials have failed, nothing more is started and `failure` says why.

        Raises:
            StudyHeldError: As in `next`; nothing is written.
        """
        self._clock.busy(job.id, False)
        self._fence()
        outcome = replace(outcome, reason=self.space.located(outcome.reason))
        live, ledger = self._live.pop(job.id), self._ledger(job)
        refused = refused_by(outcome)
        if refused is not None:
            self.interrupt()
            self.failure = refused
        if refused is not None or (self.interrupted and outcome.state == "stopped"):
            return  # It is asked again when the study is opened again, and resumes from its checkpoint.
        record = None
        if ledger is not None:
            record = ledger.finish(job, outcome)
        elif job.kind != "teacher":
            record = self.records.finish(live, live.settled(outcome), self.describe)
        self.forget(job.key)
        self.observer.ended(job, outcome, record)
        self._check_failures(job, outcome)

    def interrupt(self) -> None:
        """Start nothing more and have running jobs closed, so that the next run resumes from here."""
        self.interrupted, self._open = True, False

    def _start(self, job: Job) -> None:
        ledger = self._ledger(job)
        if ledger is None and job.kind != "teacher":
            self.records.ask(job)
        self._live[job.id] = ledger.live[job.id] if ledger else Live(job)
        self.observer.started(job)

    def _advance(self) -> None:
        phase = next(self._next_phases, None)
        if phase is None:
            self._open = False
            return
        self._jobs = phase.jobs
        self._clock.phase(phase.name, phase.total, phase.done)
        self.observer.phase(phase.name, phase.total, phase.done)

    def _ledger(self, job: Job) -> Ledger | None:
        """Return the ledger that asked for a running job; None where it was derived."""
        return next((ledger for ledger in (self.search, self.unpruned) if job.id in ledger.live), None)

    def _check_failures(self, job: Job, outcome: Outcome) -> None:
        if outcome.state != "failed":
            return
        allowed, failed = self.space.search.max_failures, self.search.failed + self.unpruned.failed
        if failed > allowed:
            self._open = False
            self.failure = FailureLimitError(
                f"{failed} trials failed{self._one_host()}, more than search.max_failures = {allowed};"
                f" the last one, {job.id}: {outcome.reason}",
                hint=f"mend the cause and {how_again(self.records, job.id)}; or raise search.max_failures",
            )

    def _one_host(self) -> str:
        """Return the one host on which all failed trials ran, where others did not fail elsewhere; else nothing."""
        ran = [record for record in self.records.finished.values() if record.number is not None]
        failed = {record.host for record in ran if record.state == "failed"}
        elsewhere = {record.host for record in ran if record.state != "failed"} - failed
        return (
            f", all of them on {failed.pop()}, and none elsewhere" if len(failed) == 1 and elsewhere else ""
        )
