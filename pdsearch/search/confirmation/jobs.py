"""Jobs that follow from the space and the finished records: teachers, baselines, confirmation.

Listing them again after an interruption gives the same jobs, so a resume skips those that have a record.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice

from pdsearch.config import Space
from pdsearch.config.catalog import FROM_TEACHER
from pdsearch.errors import ConfigError
from pdsearch.pipeline.keys import config_key, student_key
from pdsearch.protocol import Job, measures
from pdsearch.records.students import StudentKind
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.confirmation.fairness import Lacking, Model, leading_trials, most_trials, short_of_trials
from pdsearch.search.confirmation.finalists import (
    Finalist,
    all_configurations,
    finalist_of,
    finalists,
    front_members,
    name_students,
    with_teachers,
)
from pdsearch.search.preflight.dry_run import dense_jobs
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description
from pdsearch.specs import StudentSpec, TrialSpec


def alone(spec: TrialSpec, shape: StudentSpec) -> TrialSpec:
    """Return the same student, recipe and seeds without a teacher: hard labels only.

    Args:
        spec: The trial to compare with.
        shape: Its student as it was built, so that a student shaped by a pruned teacher keeps its shape.
    """
    hard = replace(spec.distill, loss="ce", params=(), code="")
    return replace(spec, prune=None, student=shape, distill=hard)


def unpruned_spec(spec: TrialSpec, shape: StudentSpec) -> TrialSpec:
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
    teacher_seeds: int = 1,
    recorded: Replicas | None = None,
    hard: Iterable[TrialSpec] = (),
) -> Iterator[Job]:
    """Yield every confirmation job once, seed by seed, so that an early end leaves whole pairs.

    A finalist's own job names its baselines, its unpruned teacher's names the student alone, which names none. The
    searched teachers' students come first.

    Args:
        found: The finalists.
        seeds: Student seeds of each.
        teacher_seeds: Teachers of each.
        recorded: Of what was confirmed before, so that it keeps its keys and is not repeated.
        hard: Each student alone with the recipe that its own trials chose.
    """
    seen: set[str] = set()
    lone, beside = list(hard), recorded or {}
    taught = with_teachers(found, teacher_seeds)
    for first in range(0, len(taught), len(found) or 1):
        for offset in range(1, seeds + 1):
            own = [with_seed(spec, spec.distill.seed + offset) for spec in lone]
            part = taught[first : first + len(found)]
            fresh = _fresh(part, offset)
            for job in chain(
                (
                    replace(_job(spec, beside, unpruned=dense, alone=hard), student=_left(one))
                    for one, (spec, dense, hard) in zip(part, fresh, strict=True)
                ),
                (_job(spec, beside, alone=spec) for spec in own),
                # The unpruned teacher may be ranked with this configuration, and is compared with the student alone.
                chain.from_iterable(
                    (_job(dense, beside, alone=hard), _job(hard, beside)) for _, dense, hard in fresh
                ),
            ):
                if job.key not in seen:
                    seen.add(job.key)
                    yield job


def _job(spec: TrialSpec, recorded: Replicas, **baselines: TrialSpec) -> Job:
    """Return the job of a trial, with the configurations that it is compared with."""
    configs = {name: config_key(baseline) for name, baseline in baselines.items()}
    beside = recorded.get((config_key(spec), spec.distill.seed), ())
    spec = replace(spec, distill=replace(spec.distill, replicas=beside))
    key = student_key(spec)
    return Job(id=f"confirm-{key[:12]}", kind="confirm", spec=spec, key=key, test=True, baselines=configs)


def _left(finalist: Finalist) -> StudentKind | None:
    """Return the student that a finalist's teacher must leave again: what is paired with it was shaped by that one."""
    return finalist.built if finalist.spec.student.model == FROM_TEACHER else None


def _fresh(taught: list[Finalist], offset: int) -> list[tuple[TrialSpec, TrialSpec, TrialSpec]]:
    """Return each finalist with a fresh seed, the same with its unpruned teacher, and the student alone."""
    fresh = [with_seed(finalist.spec, finalist.spec.distill.seed + offset) for finalist in taught]
    return [
        (spec, unpruned_spec(spec, finalist.shape), alone(spec, finalist.shape))
        for spec, finalist in zip(fresh, taught, strict=True)
    ]


@dataclass(frozen=True)
class DerivedJobs:
    """The jobs of a study that are not sampled; those of the confirmation follow from its current records."""

    space: Space
    describe: Description
    records: Records

    def counting(self) -> list[TrialRecord]:
        """Return what has finished, each as a result of the present own code."""
        return [*map(self.describe.at_present, self.records.finished.values())]

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """Return those of some jobs that have not finished; a baseline may have, with earlier own code."""
        alike = {
            record.key
            for record in self.counting()
            if record.kind == "baseline" and record.number is None and record.state != "failed"
        }
        finished = self.records.finished
        return [
            job
            for job in jobs
            if job.id not in finished and not (job.kind == "baseline" and job.key in alike)
        ]

    def student_alone(self) -> Iterator[Job]:
        """Yield each student without a teacher, as the search's baselines; none whose teacher shapes it."""
        specs = (self.describe.complete(one.resolve(one.defaults())) for one in self.space.by_student())
        jobs = (
            self._alone(alone(spec, spec.student)) for spec in specs if spec.student.model != FROM_TEACHER
        )
        yield from {job.key: job for job in jobs}.values()

    def _alone(self, hard: TrialSpec) -> Job:
        key = student_key(hard)
        name = f"baseline-alone-{key[:12]}"
        return Job(id=name, kind="baseline", spec=hard, key=key, measures=measures(self.space.aims))

    def topping_up(self) -> Iterator[Job]:
        """Yield what makes the comparison fair, each job once.

        These are the full trials that a leading teacher lacks beside the one that had most, with the best students,
        losses and recipes of all; and each student alone with its best recipes, as many, where recipes are searched.
        """
        confirm, aims = self.space.confirm, self.space.aims
        if confirm is None or not self.space.compared:
            return
        records = self.counting()
        models = leading_trials(records, aims)
        for teacher in short_of_trials(records, teachers=confirm.teachers, aims=aims):
            yield from islice(self._tried_with(teacher, models), teacher.trials)
        named = sorted((one for one in models if one[0] != FROM_TEACHER), key=lambda one: one[0])
        for _, alike in groupby(named, key=lambda one: one[0]):
            jobs = (self._alone(alone(model.spec, model.spec.student)) for _, model in alike)
            yield from islice({job.key: job for job in jobs}.values(), most_trials(records))

    def _tried_with(self, teacher: Lacking, models: list[Model]) -> Iterator[Job]:
        """Yield the trials of a teacher with the choices of other trials, but for those that it has had."""
        space, seen = self.space if teacher.pruned else self.space.unpruned(), set(teacher.had)
        for params in teacher.points(models):
            try:
                spec = self.describe.complete(space.resolve(params))
            except ConfigError:  # A value that does not count for this teacher, or one that it needs beside.
                continue
            key = student_key(spec)
            if key not in seen:
                seen.add(key)
                yield Job(
                    id=f"baseline-fair-{key[:12]}",
                    kind="baseline",
                    spec=spec,
                    key=key,
                    params=params,
                    limits=space.constraints,
                    measures=measures(space.aims),
                )

    def teachers_to_confirm(self) -> Iterator[Job]:
        """Return the finalists' dense teachers with further seeds; the searched ones were built before the search."""
        assert self.space.confirm is not None
        found = with_teachers(self._finalists(), self.space.confirm.teacher_seeds)
        return dense_jobs((finalist.spec for finalist in found), self.describe)

    def confirming(self) -> Iterator[Job]:
        """Return the finalists' jobs with fresh seeds, and their baselines'."""
        if self.space.confirm is None:
            return iter(())
        found = self._finalists()
        jobs = self._confirmations(found, self._alone_with_their_best_recipes(found))
        return (replace(job, measures=measures(self.space.aims)) for job in jobs)

    def _confirmations(self, found: list[Finalist], hard: Iterable[TrialSpec] = ()) -> Iterator[Job]:
        assert self.space.confirm is not None
        return confirmations(
            found,
            hard=hard,
            seeds=self.space.confirm.seeds,
            teacher_seeds=self.space.confirm.teacher_seeds,
            recorded=recorded_replicas(self.records.finished.values()),
        )

    def _finalists(self) -> list[Finalist]:
        confirm, aims = self.space.confirm, self.space.aims
        assert confirm is not None
        if not self.space.validated:
            specs = map(self.describe.complete, all_configurations(self.space))
            return [Finalist(spec, spec.student) for spec in specs]  # Nothing is selected.
        records = [record for record in self.counting() if record.kind != "confirm"]
        chosen, own_best = finalists(records, teachers=confirm.teachers, aims=aims)
        most = confirm.teachers if confirm.front is None else confirm.front
        members = front_members(records, most=most, all_of=confirm.front is not None, aims=aims)
        ended = [record for record in self.records.finished.values() if record.state != "failed"]
        earlier = [record for record in ended if self.describe.is_outdated(record.spec)]
        before = {self.describe.at_present(record).spec: record for record in earlier}
        every = dict.fromkeys((*chosen, *own_best, *members))
        return [self._as_confirmed(one, before.get(one.spec)) for one in every]

    def _as_confirmed(self, found: Finalist, before: TrialRecord | None) -> Finalist:
        """Return a finalist with earlier own code if all its students have finished with that: one code for each."""
        if before is None:
            return found
        earlier, finished = finalist_of(before, found.student), self.records.finished
        jobs = self._confirmations([earlier])
        whole = all(job.id in finished and finished[job.id].state != "failed" for job in jobs)
        return earlier if whole else found

    def _alone_with_their_best_recipes(self, found: Iterable[Finalist]) -> list[TrialSpec]:
        """Return each confirmed student's best trial without a teacher, where it was tried with several recipes."""
        records, aims = self.counting(), self.space.aims
        names, tried = name_students(records), dict[str, list[TrialRecord]]()
        for record in records:
            if record.kind == "baseline" and record.teacher is None and record.state == "complete":
                tried.setdefault(names[record.id], []).append(record)
        wanted = dict.fromkeys(finalist.student for finalist in found)
        return [
            max(tried[name], key=lambda r: (aims.merit(r.values), r.id)).spec
            for name in wanted
            if len(tried.get(name, ())) > 1
        ]
