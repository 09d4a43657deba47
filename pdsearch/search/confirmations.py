"""Which jobs confirm the finalists? Each with fresh seeds, beside its baselines, seed by seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pdsearch.jobs import Job
from pdsearch.search.baselines import alone, unpruned, with_seed
from pdsearch.search.confirm import Finalist, with_teachers
from pdsearch.search.describe import Description
from pdsearch.specs import StudentSpec, TrialSpec

__all__ = ["Together", "alone_each", "confirmations"]

Together = Callable[[TrialSpec, StudentSpec, Sequence[int]], Mapping[int, tuple[int, ...]]]
"""together(configuration, its student as it is built, seeds) -> for each seed those trained as one network with it."""


def alone_each(_spec: TrialSpec, _shape: StudentSpec, seeds: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
    """Say that every seed is trained alone."""
    return dict.fromkeys(seeds, ())


def confirmations(
    found: list[Finalist],
    *,
    seeds: int,
    describe: Description,
    teacher_seeds: int = 1,
    together: Together = alone_each,
) -> Iterator[Job]:
    """Yield every confirmation job once, seed by seed, so that an early end leaves whole pairs.

    A finalist's own job names its baselines, its unpruned teacher's names the student alone, which names none. The
    searched teachers' students come first.

    Args:
        found: The finalists.
        seeds: Student seeds of each.
        describe: From a specification to keys.
        teacher_seeds: Teachers of each.
        together: Says which seeds of a configuration are trained as one network.
    """
    seen: set[str] = set()
    taught = with_teachers(found, teacher_seeds)
    for first in range(0, len(taught), len(found) or 1):
        for job in _students(taught[first : first + len(found)], _Seeds(seeds, together), describe):
            if job.key not in seen:
                seen.add(job.key)
                yield job


@dataclass(frozen=True)
class _Seeds:
    """The fresh seeds of a configuration, those that follow the searched one."""

    count: int
    together: Together

    def spec(self, finalist: Finalist, searched: TrialSpec, offset: int) -> TrialSpec:
        """Return the trial of one of them, with those trained beside it."""
        first = searched.distill.seed + 1
        replicas = self.together(searched, finalist.shape, range(first, first + self.count))
        fresh = with_seed(searched, searched.distill.seed + offset)
        return replace(fresh, distill=replace(fresh.distill, replicas=replicas[fresh.distill.seed]))


def _students(taught: list[Finalist], seeds: _Seeds, describe: Description) -> Iterator[Job]:
    for offset in range(1, seeds.count + 1):
        yield from [_own(finalist, seeds, offset, describe) for finalist in taught]
        yield from [job for finalist in taught for job in _pairs(finalist, seeds, offset, describe)]


def _own(finalist: Finalist, seeds: _Seeds, offset: int, describe: Description) -> Job:
    spec = seeds.spec(finalist, finalist.spec, offset)
    dense, hard = unpruned(spec, finalist.shape), alone(spec, finalist.shape)
    return _job(spec, describe, {"unpruned": describe.config(dense), "alone": describe.config(hard)})


def _pairs(finalist: Finalist, seeds: _Seeds, offset: int, describe: Description) -> Iterator[Job]:
    dense, hard = (baseline(finalist.spec, finalist.shape) for baseline in (unpruned, alone))
    # The unpruned teacher may stand in the ranking with this configuration, and is compared with the student alone.
    yield _job(seeds.spec(finalist, dense, offset), describe, {"alone": describe.config(hard)})
    yield _job(seeds.spec(finalist, hard, offset), describe, {})


def _job(spec: TrialSpec, describe: Description, baselines: Mapping[str, str]) -> Job:
    key = describe.key(spec)
    return Job(id=f"confirm-{key[:12]}", kind="confirm", spec=spec, key=key, test=True, baselines=baselines)
