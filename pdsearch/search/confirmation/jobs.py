"""Jobs that follow from the space and the finished records: teachers, baselines, confirmation.

Listing them again after an interruption gives the same jobs, so a resume skips those that have a record.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pdsearch.config import Space
from pdsearch.config.catalog import FROM_TEACHER
from pdsearch.protocol import Job, measures
from pdsearch.search.confirmation.finalists import (
    Finalist,
    configurations,
    everyone,
    finalists,
    with_teachers,
)
from pdsearch.search.preflight.dry_run import dense_jobs
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description
from pdsearch.specs import StudentSpec, TrialSpec
from pdsearch.trial_record import TrialRecord

__all__ = [
    "DerivedJobs",
    "Replicas",
    "alone",
    "confirmations",
    "recorded_replicas",
    "unpruned",
    "with_seed",
]


def alone(spec: TrialSpec, shape: StudentSpec) -> TrialSpec:
    """Return the same student, recipe and seeds without a teacher: hard labels only.

    Args:
        spec: The trial to compare with.
        shape: Its student as it was built, so that a student shaped by a pruned teacher keeps its shape.
    """
    hard = replace(spec.distill, loss="ce", params=(), code="")
    return replace(spec, prune=None, student=shape, distill=hard)


def unpruned(spec: TrialSpec, shape: StudentSpec) -> TrialSpec:
    """Return the same trial with the dense teacher: like for like, student's shape, loss and seeds kept."""
    return replace(spec, prune=None, student=shape)


def with_seed(spec: TrialSpec, seed: int) -> TrialSpec:
    """Return the same trial with a fresh student seed and view stream."""
    return replace(spec, distill=replace(spec.distill, seed=seed, view_seed=seed))


Replicas = Mapping[tuple[str, int], tuple[int, ...]]
"""`distill.replicas` of records of earlier versions, by configuration and seed."""


def recorded_replicas(records: Iterable[TrialRecord]) -> Replicas:
    """Return which students were confirmed as one network with others, as earlier versions did."""
    confirmed = ((record.config, record.spec.distill) for record in records if record.kind == "confirm")
    return {(config, distill.seed): distill.replicas for config, distill in confirmed if distill.replicas}


def confirmations(
    found: list[Finalist],
    *,
    seeds: int,
    describe: Description,
    teacher_seeds: int = 1,
    recorded: Replicas | None = None,
) -> Iterator[Job]:
    """Yield every confirmation job once, seed by seed, so that an early end leaves whole pairs.

    A finalist's own job names its baselines, its unpruned teacher's names the student alone, which names none. The
    searched teachers' students come first.

    Args:
        found: The finalists.
        seeds: Student seeds of each.
        describe: Maps specifications to keys.
        teacher_seeds: Teachers of each.
        recorded: Of what was confirmed before, so that it keeps its keys and is not repeated.
    """
    seen: set[str] = set()
    taught = with_teachers(found, teacher_seeds)
    naming = _Naming(describe, recorded or {})
    for first in range(0, len(taught), len(found) or 1):
        for offset in range(1, seeds + 1):
            for job in _students(taught[first : first + len(found)], offset, naming):
                if job.key not in seen:
                    seen.add(job.key)
                    yield job


@dataclass(frozen=True)
class _Naming:
    """Makes jobs from specifications."""

    describe: Description
    recorded: Replicas

    def job(self, spec: TrialSpec, **baselines: TrialSpec) -> Job:
        """Return the job of a trial, with the configurations that it is compared with."""
        configs = {name: self.describe.config(baseline) for name, baseline in baselines.items()}
        beside = self.recorded.get((self.describe.config(spec), spec.distill.seed), ())
        spec = replace(spec, distill=replace(spec.distill, replicas=beside))
        key = self.describe.key(spec)
        return Job(id=f"confirm-{key[:12]}", kind="confirm", spec=spec, key=key, test=True, baselines=configs)


def _students(taught: list[Finalist], offset: int, naming: _Naming) -> Iterator[Job]:
    """Yield the jobs of one fresh seed: the finalists' own, then their baselines'."""
    fresh = [with_seed(finalist.spec, finalist.spec.distill.seed + offset) for finalist in taught]
    pairs = [
        (unpruned(spec, finalist.shape), alone(spec, finalist.shape))
        for spec, finalist in zip(fresh, taught, strict=True)
    ]
    for spec, (dense, hard) in zip(fresh, pairs, strict=True):
        yield naming.job(spec, unpruned=dense, alone=hard)
    for dense, hard in pairs:
        # The unpruned teacher may be ranked with this configuration, and is compared with the student alone.
        yield naming.job(dense, alone=hard)
        yield naming.job(hard)


@dataclass(frozen=True)
class DerivedJobs:
    """The jobs of a study that are not sampled; those of the confirmation follow from its current records.

    Args:
        space: What is searched.
        describe: Maps specifications to keys.
        records: The study's records.
    """

    space: Space
    describe: Description
    records: Records

    def student_alone(self) -> Iterator[Job]:
        """Yield the student without a teacher, as the search's baseline; none if its teacher shapes the student."""
        spec = self.describe.complete(self.space.resolve(self.space.defaults()))
        if spec.student.model == FROM_TEACHER:
            return
        hard = alone(spec, spec.student)
        key = self.describe.key(hard)
        yield Job(id=f"baseline-alone-{key[:12]}", kind="baseline", spec=hard, key=key)

    def teachers_to_confirm(self) -> Iterator[Job]:
        """Return the finalists' dense teachers with further seeds; the searched ones were built before the search."""
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
