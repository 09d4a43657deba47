"""What is done next? One phase after another, job by job, until all has ended or the study is ended early.

The agenda is all that a runner sees of a study.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from pdsearch.errors import FailureLimitError, PdsearchError
from pdsearch.events import Event, Outcome
from pdsearch.jobs import Job, refused_by
from pdsearch.search.ledger import Ledger
from pdsearch.search.phases import Phases
from pdsearch.search.records import Live
from pdsearch.search.retry import how_again
from pdsearch.trial_record import TrialRecord

__all__ = ["Agenda", "Observer"]


class Observer(Protocol):
    """Whoever watches a study run: a screen, a log."""

    def phase(self, name: str, total: int, done: int) -> None:
        """A phase begins; so many jobs in all, so many of them done before."""

    def started(self, job: Job) -> None:
        """A job starts."""

    def event(self, job: Job, event: Event) -> None:
        """A running job says something."""

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """A job ended; its record, where it has one."""

    def say(self, text: str) -> None:
        """Something beside the jobs is to be known."""


class Agenda:
    """The work of one study, phase by phase; see `pdsearch.jobs.Work` for how a runner drives it.

    Args:
        phases: What there is to do.
        observer: Who watches.
        forget: Removes the progress of a key that will not be gone on with.
        fence: Raises where another driver has taken the study over; asked before anything is written.
    """

    def __init__(
        self,
        phases: Phases,
        *,
        observer: Observer,
        forget: Callable[[str], None],
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        listed = phases.listed
        self.space, self.describe, self.records = listed.space, listed.describe, listed.records
        self.search, self.fair, self.observer = phases.search, phases.fair, observer
        self.phases, self.forget, self._fence = phases, forget, fence
        self._live: dict[str, Live] = {}
        self._ahead = phases.ahead()
        self._jobs: Iterator[Job | None] = iter(())
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

    def tell(self, job: Job, event: Event) -> bool:
        """Take an event of a running job; True asks the runner to close it."""
        self.observer.event(job, event)
        if self.interrupted:
            return True
        ledger = self._ledger(job)
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
        live, ledger = self._live.pop(job.id), self._ledger(job)
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
        ledger = self._ledger(job)
        if ledger is None and job.kind != "teacher":
            self.records.ask(job)
        self._live[job.id] = ledger.live[job.id] if ledger else Live(job)
        self.observer.started(job)

    def _advance(self) -> None:
        phase = next(self._ahead, None)
        if phase is None:
            self._open = False
            return
        self._jobs = phase.jobs
        self.observer.phase(phase.name, phase.total, phase.done)

    def _ledger(self, job: Job) -> Ledger | None:
        """Return the ledger that asked for a running job; None where it was listed."""
        return next((ledger for ledger in (self.search, self.fair) if job.id in ledger.live), None)

    def _check_failures(self, job: Job, outcome: Outcome) -> None:
        allowed, failed = self.space.search.max_failures, self.search.failed + self.fair.failed
        if outcome.state == "failed" and failed > allowed:
            self._open = False
            self.failure = FailureLimitError(
                f"{failed} trials failed, more than search.max_failures = {allowed};"
                f" the last one, {job.id}: {outcome.reason}",
                hint=f"mend the cause and {how_again(self.records, job.id)}; or raise search.max_failures",
            )
