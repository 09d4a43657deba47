"""What is done next? What trials start from, the search, its fair comparison, confirmation: one phase after another.

The agenda is all that a runner sees of a study. Every phase can be entered again at any time: what is finished is not
asked again, so resuming is nothing but running.
"""

import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Protocol, TypeAlias

from pdsearch.errors import FailureLimitError, PdsearchError
from pdsearch.events import Event, Outcome
from pdsearch.jobs import Job, refused_by
from pdsearch.search.baselines import alone
from pdsearch.search.confirm import Finalist, configurations, everyone, finalists, with_teachers
from pdsearch.search.confirmations import confirmations
from pdsearch.search.describe import Description
from pdsearch.search.ledger import Ledger
from pdsearch.search.records import Live, Records
from pdsearch.search.teachers import dense_jobs
from pdsearch.search.together import Choice, Pays, beside, confirmed
from pdsearch.space import Space

__all__ = ["Agenda", "Observer"]


Phase: TypeAlias = tuple[int, int, Iterator[Job | None]]
"""Jobs in all, jobs done before, and those to do; None among them means that a running job must end first."""


class Observer(Protocol):
    """Whoever watches a study run: a screen, a log."""

    def phase(self, name: str, total: int, done: int) -> None:
        """A phase begins; so many jobs in all, so many of them done before."""

    def started(self, job: Job) -> None:
        """A job starts."""

    def event(self, job: Job, event: Event) -> None:
        """A running job says something."""

    def ended(self, job: Job, outcome: Outcome, record: dict[str, Any] | None) -> None:
        """A job ended; its record, where it has one."""

    def say(self, text: str) -> None:
        """Something beside the jobs is to be known."""


class Agenda:
    """The work of one study, phase by phase; see `pdsearch.jobs.Work` for how a runner drives it.

    Args:
        space: What is searched.
        describe: From a specification to keys.
        records: The study's records.
        search: Ledger of the search trials.
        fair: Ledger of the unpruned teacher's own trials.
        teachers: Jobs that build the dense teachers, asked for when the search opens.
        built: Whether a dense teacher is there already.
        observer: Who watches.
        together: Which seeds of a confirmed configuration are trained as one network.
        forget: Removes the progress of a key that will not be gone on with.
        elapsed: Seconds the study has run in all, earlier runs included.
        fence: Raises where another driver has taken the study over; asked before anything is written.
    """

    def __init__(
        self,
        space: Space,
        describe: Description,
        records: Records,
        *,
        search: Ledger,
        fair: Ledger,
        teachers: Callable[[], Iterable[Job]],
        built: Callable[[Job], bool],
        observer: Observer,
        together: Choice,
        forget: Callable[[str], None],
        elapsed: Callable[[], float] = time.monotonic,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self.space, self.describe, self.records = space, describe, records
        self.search, self.fair, self.observer = search, fair, observer
        self.forget, self.elapsed, self._built, self._together = forget, elapsed, built, together
        self._fence = fence
        self._live: dict[str, Live] = {}
        self._ledgers: dict[str, Ledger] = {}
        phases: list[tuple[str, Callable[[], Phase]]] = [
            ("groundwork", lambda: self._groundwork(teachers())),
            ("search", self._searching),
            ("comparison", self._comparing),
            ("confirmation", lambda: self._listed(list(self._confirming(self._together.pays)))),
        ]
        if not space.compared:  # And without validation nothing is searched that will be confirmed.
            left_out = {"comparison", *(["search"] if space.confirm else [])}
            phases = [phase for phase in phases if phase[0] not in left_out]
        if space.confirm is not None and space.confirm.teacher_seeds > 1:
            phases.insert(-1, ("confirmation teachers", lambda: self._missing(self._teachers_to_confirm())))
        self._phases = deque(phases)
        self._phase: Iterator[Job | None] = iter(())
        self._open = True
        self.interrupted = False
        self.failure: PdsearchError | None = None

    @property
    def done(self) -> bool:
        """Nothing is left to start and nothing is running."""
        return not self._open and not self._live

    @property
    def closing(self) -> bool:
        """The run was interrupted, or its storage refused."""
        return self.interrupted

    def idle(self) -> bool:
        """Say whether everything is done already, so that no worker need be started; asks nothing."""
        if not self.space.validated and self.space.confirm is not None:
            return all(job.id in self.records.finished for job in self._confirming(self._together.known))
        counts = self.space.search
        searched = (self.search.finished >= counts.trials or self.search.exhausted) and not self.search.owed
        if not self.space.compared:
            return searched
        fair = self.fair.finished >= self._median_trials() - self._dense_trials() and not self.fair.owed
        jobs = [*self._student_alone(), *self._confirming(self._together.known)]
        return searched and fair and all(job.id in self.records.finished for job in jobs)

    def next(self) -> Job | None:
        """Return the next job, or None when nothing can be started until a running job ends, or for good.

        Raises:
            StudyHeldError: This process was silent for so long that another one has taken the study over.
        """
        self._fence()
        while self._open:
            for job in self._phase:
                if job is not None:
                    self._start(job)
                return job
            if self._live:  # A phase ends when its last job has.
                return None
            self._advance()
        return None

    def tell(self, job: Job, event: Event) -> bool:
        """Take an event of a running job; True asks the runner to close it."""
        self.observer.event(job, event)
        if self.interrupted:
            return True
        ledger = self._ledgers.get(job.id)
        if ledger is not None:
            return ledger.tell(job, event)
        self._live[job.id].note(event)
        return False

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Take a job's outcome; its record is on disk when this returns.

        When too many trials have failed, nothing more is started and `failure` says why.

        Raises:
            StudyHeldError: As in `next`; nothing is written.
        """
        self._fence()
        live = self._live.pop(job.id)
        ledger = self._ledgers.pop(job.id, None)
        refused = refused_by(outcome)
        if refused is not None:
            self.interrupt()
            self.failure = refused
        if refused is not None or (self.interrupted and outcome.state == "stopped"):
            return  # It is asked again when the study is opened again, and goes on from its checkpoint.
        record = None
        if ledger is not None:
            record = ledger.finish(job, outcome)
        elif job.kind != "teacher":
            record = self.records.finish(live, live.settled(outcome), self.describe)
        self.forget(job.key)
        self.observer.ended(job, outcome, record)
        self._check_failures(job, outcome)

    def interrupt(self) -> None:
        """Start nothing more and have what runs closed, so that the next run goes on from here."""
        self.interrupted, self._open = True, False

    def _start(self, job: Job) -> None:
        ledger = self._ledgers.get(job.id)
        if ledger is None and job.kind != "teacher":
            self.records.ask(job)
        self._live[job.id] = ledger.live[job.id] if ledger else Live(job)
        self.observer.started(job)

    def _advance(self) -> None:
        if not self._phases:
            self._open = False
            return
        name, begin = self._phases.popleft()
        total, done, self._phase = begin()
        self.observer.phase(name, total, done)

    def _listed(self, jobs: list[Job]) -> Phase:
        """The jobs that have no finished record yet."""
        missing = [job for job in jobs if job.id not in self.records.finished]
        return len(jobs), len(jobs) - len(missing), iter(missing)

    def _missing(self, jobs: Iterable[Job]) -> Phase:
        """The dense teachers that are not there yet."""
        return self._listed([job for job in jobs if not self._built(job)])

    def _groundwork(self, teachers: Iterable[Job]) -> Phase:
        """What needs no trial: dense teachers, and beside them, so that no worker waits, the student alone."""
        alone = self._student_alone() if self.space.compared else ()
        return self._listed([*(job for job in teachers if not self._built(job)), *alone])

    def _searching(self) -> Phase:
        wanted, limit = self.space.search.trials, self.space.search.timeout

        def late() -> bool:
            return limit is not None and self.elapsed() >= limit

        return wanted, self.search.finished, self._asking(self.search, wanted, late)

    def _comparing(self) -> Phase:
        """The unpruned teacher gets at least as many trials as the median teacher had."""
        wanted = max(0, self._median_trials() - self._dense_trials())
        return wanted, min(wanted, self.fair.finished), self._asking(self.fair, wanted, lambda: False)

    def _asking(self, ledger: Ledger, wanted: int, late: Callable[[], bool]) -> Iterator[Job | None]:
        while True:
            # What a person wants tried again is asked, whether or not the wanted number is reached.
            owed = ledger.owed
            if (ledger.finished >= wanted and not owed) or ledger.exhausted or late():
                return
            if ledger.finished + len(ledger.live) >= wanted and not owed:
                yield None
                continue
            job = ledger.ask()
            if job is not None:
                self._ledgers[job.id] = ledger
                yield job

    def _student_alone(self) -> Iterator[Job]:
        spec = self.describe.complete(self.space.resolve(self.space.defaults()))
        if spec.student.model == "from_teacher":
            return
        hard = alone(spec, spec.student)
        key = self.describe.key(hard)
        yield Job(id=f"baseline-alone-{key[:12]}", kind="baseline", spec=hard, key=key)

    def _teachers_to_confirm(self) -> Iterator[Job]:
        """The finalists' dense teachers with further seeds; the searched ones were there before the search."""
        assert self.space.confirm is not None
        found = with_teachers(self._finalists(), self.space.confirm.teacher_seeds)
        return dense_jobs((finalist.spec for finalist in found), self.describe)

    def _confirming(self, pays: Pays) -> Iterator[Job]:
        confirm = self.space.confirm
        if confirm is None:
            return iter(())
        return confirmations(
            self._finalists(),
            seeds=confirm.seeds,
            teacher_seeds=confirm.teacher_seeds,
            describe=self.describe,
            together=partial(beside, recorded=confirmed(self.records.finished.values()), pays=pays),
        )

    def _finalists(self) -> list[Finalist]:
        assert self.space.confirm is not None
        if not self.space.validated:
            return everyone(map(self.describe.complete, configurations(self.space)))
        objective = self.space.objectives[0]
        chosen, own_best = finalists(
            self._trials(),
            teachers=self.space.confirm.teachers,
            metric=objective.metric,
            maximize=objective.goal == "maximize",
        )
        return [*chosen, *own_best]

    def _trials(self) -> list[dict[str, Any]]:
        return [record for record in self.records.finished.values() if record["number"] is not None]

    def _median_trials(self) -> int:
        counts = Counter(
            record["teacher"]["config"]
            for record in self._trials()
            if record["teacher"] and record["kind"] == "search"
        )
        return int(statistics.median_high(counts.values())) if counts else 0

    def _dense_trials(self) -> int:
        return sum(
            bool(record["teacher"]) and record["teacher"]["method"] is None and record["kind"] == "search"
            for record in self._trials()
        )

    def _check_failures(self, job: Job, outcome: Outcome) -> None:
        allowed, failed = self.space.search.max_failures, self.search.failed + self.fair.failed
        if outcome.state == "failed" and failed > allowed:
            self._open = False
            self.failure = FailureLimitError(
                f"{failed} trials failed, more than search.max_failures = {allowed};"
                f" the last one, {job.id}: {outcome.reason}",
                hint="mend the cause and run the same command again, or raise search.max_failures",
            )
