"""Finalists: the best configuration of each leading teacher, with its baselines.

Averaging the survivors of a tuned search estimates nothing, so only these runs carry intervals. Each finalist
is paired, seed by seed, with the unpruned teacher and with the student alone in the same configuration; the
unpruned teachers' own best configurations run as well.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pdsearch.config import Space
from pdsearch.config.resolve import MOST_CONFIGURATIONS, points_of
from pdsearch.objectives import Aims
from pdsearch.pipeline.keys import teacher_config
from pdsearch.specs import StudentSpec, TeacherSpec, TrialSpec
from pdsearch.trial_record import TrialRecord


@dataclass(frozen=True)
class Finalist:
    """A configuration to be confirmed: its specification and its student as it was built."""

    spec: TrialSpec
    shape: StudentSpec


def leaders(records: Iterable[TrialRecord], aims: Aims) -> list[TrialRecord]:
    """Return the best feasible trial of each teacher, best teacher first: by epochs reached, then by merit.

    Teachers whose configurations differ in the seed alone are one: architecture, augmentation, training, pruning count.
    """
    best: dict[str, TrialRecord] = {}

    def rank(record: TrialRecord) -> tuple[int, tuple[float, ...]]:
        return len(record.reports), aims.merit(record.values)

    # In one order whatever they were read in, so that a tie is settled alike after a resume.
    for record in sorted(records, key=lambda record: (record.kind != "search", record.id)):
        known = record.student is not None and aims.objectives[0].metric in record.values
        ended = record.state in ("complete", "stopped") and aims.feasible(record.values)
        if record.teacher is None or not (known and ended):
            continue
        teacher = record.teacher.config
        if teacher not in best or rank(record) > rank(best[teacher]):
            best[teacher] = record
    return sorted(best.values(), key=rank, reverse=True)


def finalists(
    records: Iterable[TrialRecord], *, teachers: int, aims: Aims
) -> tuple[list[Finalist], list[Finalist]]:
    """Return the finalists of the leading pruned teachers, and those of the unpruned teachers to compare them with.

    The latter are the dense teachers that the finalists were pruned from, the best dense teacher, and, where there are
    fewer pruned teachers than wanted, as many of the leading dense ones as are lacking.
    """
    ranked = leaders(records, aims)
    chosen = [finalist_of(record) for record in ranked if _is_pruned(record)][:teachers]
    dense = [finalist_of(record) for record in ranked if not _is_pruned(record)]
    sources = set(map(_source, chosen))
    leading = dense[: max(1, teachers - len(chosen))]
    return chosen, [finalist for finalist in dense if finalist in leading or _source(finalist) in sources]


def configurations(space: Space) -> list[TrialSpec]:
    """Return every configuration of a space without ranges, in order, each once; not completed yet."""
    points = points_of(space.parameters, limit=MOST_CONFIGURATIONS)
    assert points is not None, "checked when the space was read"
    return list(dict.fromkeys(map(space.resolve, points)))


def everyone(specs: Iterable[TrialSpec]) -> list[Finalist]:
    """Return all configurations as finalists: nothing was selected. Students have the shapes that they name."""
    return [Finalist(spec, spec.student) for spec in specs]


def _source(finalist: Finalist) -> str:
    """Return the configuration of the dense teacher."""
    return teacher_config(replace(finalist.spec, prune=None))


def with_teachers(found: list[Finalist], teacher_seeds: int) -> list[Finalist]:
    """Return the finalists once for each teacher seed, those of the searched teachers first.

    With several teachers a student keeps the shape that the searched teacher gave it: what is confirmed is that
    architecture, and pairs differ in nothing else. One that keeps its teacher's weights has the shape of its own.
    """
    if teacher_seeds == 1:
        return found
    return [
        Finalist(replace(one.spec, student=_confirmed(one), teacher=_seeded(one, offset)), one.shape)
        for offset in range(teacher_seeds)
        for one in found
    ]


def _confirmed(finalist: Finalist) -> StudentSpec:
    student = finalist.spec.student
    return student if student.is_kept else finalist.shape


def _seeded(finalist: Finalist, offset: int) -> TeacherSpec:
    teacher = finalist.spec.teacher
    return replace(teacher, seed=teacher.seed + offset)


def _is_pruned(record: TrialRecord) -> bool:
    return record.teacher is not None and record.teacher.method is not None


def finalist_of(record: TrialRecord) -> Finalist:
    """Return a trial that has built its student as a finalist."""
    spec, shape = record.spec, record.student
    assert shape is not None, "a trial with an epoch has a student"
    if spec.student.is_kept:  # Its baselines start from the same weights.
        return Finalist(spec, replace(spec.student, start=spec.prune))
    # A student shaped by its teacher uses the teacher's code.
    source = spec.student if shape.model == spec.student.model else spec.teacher
    options = tuple(sorted(shape.options.items()))
    widths = tuple(sorted((name, width) for name, (width, _) in shape.widths.items()))
    return Finalist(spec, StudentSpec(model=shape.model, options=options, code=source.code, widths=widths))
