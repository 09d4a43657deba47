"""Which jobs are listed, not sampled? Those that follow from the space and from what has finished.

Listing them again after an interruption gives the same ones, so resuming is leaving out what has a record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pdsearch.jobs import Job, measures
from pdsearch.search.baselines import alone
from pdsearch.search.confirm import Finalist, configurations, everyone, finalists, with_teachers
from pdsearch.search.confirmations import confirmations, recorded_replicas
from pdsearch.search.describe import Description
from pdsearch.search.records import Records
from pdsearch.search.teachers import dense_jobs
from pdsearch.space import Space
from pdsearch.space.catalog import FROM_TEACHER

__all__ = ["Listed"]


@dataclass(frozen=True)
class Listed:
    """The jobs of a study that no sampler is asked for; those of a confirmation as its records are now.

    Args:
        space: What is searched.
        describe: From a specification to keys.
        records: The study's records.
    """

    space: Space
    describe: Description
    records: Records

    def student_alone(self) -> Iterator[Job]:
        """Yield the student without a teacher, as the search's baseline; one that its teacher shapes has none."""
        spec = self.describe.complete(self.space.resolve(self.space.defaults()))
        if spec.student.model == FROM_TEACHER:
            return
        hard = alone(spec, spec.student)
        key = self.describe.key(hard)
        yield Job(id=f"baseline-alone-{key[:12]}", kind="baseline", spec=hard, key=key)

    def teachers_to_confirm(self) -> Iterator[Job]:
        """Return the finalists' dense teachers with further seeds; the searched ones were there before the search."""
        assert self.space.confirm is not None
        found = with_teachers(self._finalists(), self.space.confirm.teacher_seeds)
        return dense_jobs((finalist.spec for finalist in found), self.describe)

    def confirming(self) -> Iterator[Job]:
        """Return the finalists' jobs with fresh seeds, and their baselines'."""
        confirm = self.space.confirm
        if confirm is None:
            return iter(())
        jobs = confirmations(
            self._finalists(),
            seeds=confirm.seeds,
            teacher_seeds=confirm.teacher_seeds,
            describe=self.describe,
            recorded=recorded_replicas(self.records.finished.values()),
        )
        return (replace(job, measures=measures(self.space.aims)) for job in jobs)

    def _finalists(self) -> list[Finalist]:
        assert self.space.confirm is not None
        if not self.space.validated:
            return everyone(map(self.describe.complete, configurations(self.space)))
        chosen, own_best = finalists(
            [record for record in self.records.finished.values() if record.number is not None],
            teachers=self.space.confirm.teachers,
            aims=self.space.aims,
        )
        return [*chosen, *own_best]
