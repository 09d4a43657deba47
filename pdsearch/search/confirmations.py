"""Which jobs confirm the finalists? Each with fresh seeds, beside its baselines, seed by seed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pdsearch.jobs import Job
from pdsearch.search.baselines import alone, unpruned, with_seed
from pdsearch.search.confirm import Finalist, with_teachers
from pdsearch.search.describe import Description
from pdsearch.specs import TrialSpec
from pdsearch.trial_record import TrialRecord

__all__ = ["Replicas", "confirmations", "recorded_replicas"]

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
        describe: From a specification to keys.
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
    """Makes jobs of specifications."""

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
        # The unpruned teacher may stand in the ranking with this configuration, and is compared with the student alone.
        yield naming.job(dense, alone=hard)
        yield naming.job(hard)
