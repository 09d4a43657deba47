"""Which phases has a study, and what does each hold? What trials start from, the search, its comparison, confirmation.

Every phase can be entered again at any time: what is finished is not asked again, so resuming is nothing but running.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pdsearch.jobs import Job
from pdsearch.search.fair import owed
from pdsearch.search.ledger import Ledger
from pdsearch.search.listed import Listed

__all__ = ["Phase", "Phases"]


@dataclass(frozen=True)
class Phase:
    """A part of a study's work; it ends when the last of its jobs has.

    Args:
        name: What a person calls it.
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
    """All phases of a study.

    Args:
        listed: The jobs that are not sampled, and the space and the records they follow from.
        search: Ledger of the search trials.
        fair: Ledger of the unpruned teacher's own trials.
        teachers: Jobs that build the dense teachers, asked for when the search opens.
        built: Whether a dense teacher is there already.
        elapsed: Seconds the study has run in all, earlier runs included.
    """

    listed: Listed
    search: Ledger
    fair: Ledger
    teachers: Callable[[], Iterable[Job]]
    built: Callable[[Job], bool]
    elapsed: Callable[[], float]

    def ahead(self) -> Iterator[Phase]:
        """Yield one phase after another; a phase is made when it is reached, from what those before it have left."""
        space = self.listed.space
        yield self._groundwork()
        # Without validation nothing is searched that will be confirmed.
        if space.validated or space.confirm is None:
            yield self._searching()
        if space.compared:
            yield self._comparing()
        if space.confirm is not None and space.confirm.teacher_seeds > 1:
            yield self._left("confirmation teachers", self._missing(self.listed.teachers_to_confirm()))
        yield self._left("confirmation", self.listed.confirming())

    def idle(self) -> bool:
        """Say whether everything is done already, so that no worker need be started; asks nothing."""
        space, finished = self.listed.space, self.listed.records.finished
        if not space.validated and space.confirm is not None:
            return all(job.id in finished for job in self.listed.confirming())
        enough = self.search.finished >= space.search.trials or self.search.exhausted
        searched = enough and not self.search.owed
        if not space.compared:
            return searched
        fair = self.fair.finished >= owed(finished.values()) and not self.fair.owed
        jobs = [*self.listed.student_alone(), *self.listed.confirming()]
        return searched and fair and all(job.id in finished for job in jobs)

    def _left(self, name: str, jobs: Iterable[Job]) -> Phase:
        """The jobs that have no finished record yet."""
        every = list(jobs)
        missing = [job for job in every if job.id not in self.listed.records.finished]
        return Phase(name, len(every), len(every) - len(missing), iter(missing))

    def _missing(self, teachers: Iterable[Job]) -> list[Job]:
        return [job for job in teachers if not self.built(job)]

    def _groundwork(self) -> Phase:
        """What needs no trial: dense teachers, and beside them, so that no worker waits, the student alone."""
        alone = self.listed.student_alone() if self.listed.space.compared else ()
        return self._left("groundwork", [*self._missing(self.teachers()), *alone])

    def _searching(self) -> Phase:
        wanted, limit = self.listed.space.search.trials, self.listed.space.search.timeout

        def late() -> bool:
            return limit is not None and self.elapsed() >= limit

        return Phase("search", wanted, self.search.finished, _asking(self.search, wanted, late))

    def _comparing(self) -> Phase:
        """The unpruned teacher gets at least as many trials as the median teacher had."""
        wanted = owed(self.listed.records.finished.values())
        done = min(wanted, self.fair.finished)
        return Phase("comparison", wanted, done, _asking(self.fair, wanted, lambda: False))


def _asking(ledger: Ledger, wanted: int, late: Callable[[], bool]) -> Iterator[Job | None]:
    while True:
        # What a person wants tried again is asked, whether or not the wanted number is reached.
        again = ledger.owed
        if (ledger.finished >= wanted and not again) or ledger.exhausted or late():
            return
        if ledger.finished + len(ledger.live) >= wanted and not again:
            yield None
            continue
        job = ledger.ask()
        if job is not None:
            yield job
