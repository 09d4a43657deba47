"""Finalists: the best configuration of each leading teacher with each student, and what a front consists of.

Averaging the survivors of a tuned search estimates nothing, so only these runs carry intervals. Each finalist
is paired, seed by seed, with the unpruned teacher and with the student alone in the same configuration; the
unpruned teachers' own best configurations run as well.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pdsearch.config import Space
from pdsearch.config.resolve import MOST_CONFIGURATIONS, points_of
from pdsearch.objectives import Aims, most_hypervolume
from pdsearch.pipeline.keys import teacher_config
from pdsearch.records.students import StudentKind, alike
from pdsearch.records.trial_record import TrialRecord
from pdsearch.specs import StudentSpec, TeacherSpec, TrialSpec


@dataclass(frozen=True)
class Finalist:
    """A configuration to be confirmed.

    Args:
        spec: Its specification.
        shape: Its student as it was built.
        student: Name of the students that its own are compared with (`students.alike`).
        built: Its student as it was recorded; None where none was built yet.
    """

    spec: TrialSpec
    shape: StudentSpec
    student: str = ""
    built: StudentKind | None = None


def name_students(records: Iterable[TrialRecord]) -> dict[str, str]:
    """Return for each record, by id, the name of the students that its own is compared with."""
    built = {record.id: record.student.built if record.student else None for record in records}
    likes = alike(built.values())
    return {name: likes[student] for name, student in built.items()}


def leaders(
    records: Sequence[TrialRecord], aims: Aims, names: Mapping[str, str] | None = None
) -> list[TrialRecord]:
    """Return the best feasible trial of each teacher with each student, the best first: by epochs, then by merit.

    Teachers whose configurations differ in the seed alone are one: architecture, augmentation, training, pruning count.

    Args:
        records: Trials.
        aims: By which they are compared.
        names: See `name_students`; None takes those of these records.
    """
    names = names or name_students(records)
    best: dict[tuple[str, str], TrialRecord] = {}

    def rank(record: TrialRecord) -> tuple[int, tuple[float, ...]]:
        return aims.standing(len(record.reports), record.values)

    # In one order whatever they were read in, so that a tie is settled alike after a resume.
    for record in sorted(records, key=lambda record: (record.kind != "search", record.id)):
        known = record.student is not None and aims.objectives[0].metric in record.values
        ended = record.state in ("complete", "stopped") and aims.feasible(record.values)
        if record.teacher is None or not (known and ended):
            continue
        line = record.teacher.config, names[record.id]
        if line not in best or rank(record) > rank(best[line]):
            best[line] = record
    return sorted(best.values(), key=rank, reverse=True)


def in_turns(ranked: Iterable[TrialRecord], names: Mapping[str, str]) -> list[TrialRecord]:
    """Return trials in another order: the best of each kind of student, then the second of each, and so on.

    Those with pruned teachers and those with unpruned ones take turns apart.
    """
    turns: Counter[tuple[str, bool]] = Counter()
    found = []
    for record in ranked:
        kind = names[record.id], record.spec.prune is None
        turns[kind] += 1
        found.append((turns[kind], record))
    return [record for _, record in sorted(found, key=lambda item: item[0])]


def finalists(
    records: Sequence[TrialRecord], *, teachers: int, aims: Aims
) -> tuple[list[Finalist], list[Finalist]]:
    """Return the finalists of the leading pruned teachers, and those of the unpruned teachers to compare them with.

    Students of different size take turns. The unpruned teachers are, with the same students, those that the finalists
    were pruned from, the best one, and, where there are fewer pruned teachers than wanted, as many of the leading ones
    as are lacking.
    """
    names = name_students(records)
    ranked = leaders(records, aims, names)
    found = [finalist_of(record, names[record.id]) for record in in_turns(ranked, names)]
    chosen = [finalist for finalist in found if finalist.spec.prune is not None][:teachers]
    dense = [finalist for finalist in found if finalist.spec.prune is None]
    sources = {(_source(finalist), finalist.student) for finalist in chosen}
    leading = dense[: max(1, teachers - len(chosen))]
    beside = (one for one in dense if one in leading or (_source(one), one.student) in sources)
    return chosen, list(beside)


def front_members(records: Sequence[TrialRecord], *, most: int, all_of: bool, aims: Aims) -> list[Finalist]:
    """Return the members of the front that tell most of it, as `objectives.telling` chooses them.

    Args:
        records: All that has finished but for confirmations.
        most: How many at most.
        all_of: Whether as many as that.
        aims: The objectives.
    """
    names, metrics = name_students(records), [objective.metric for objective in aims.objectives]
    whole = [
        record
        for record in sorted(records, key=lambda record: record.id)
        if record.state == "complete" and record.teacher is not None and record.student is not None
        if record.values.keys() >= {*metrics} and aims.feasible(record.values)
    ]
    points = [[record.values[metric] for metric in metrics] for record in whole]
    goals = [objective.goal for objective in aims.objectives]
    chosen = most_hypervolume(points, goals, most, all_of=all_of) if len(goals) > 1 and points else []
    return [finalist_of(whole[place], names[whole[place].id]) for place in chosen]


def all_configurations(space: Space) -> list[TrialSpec]:
    """Return every configuration of a space without ranges, in order, each once; not completed yet."""
    points = points_of(space.parameters, limit=MOST_CONFIGURATIONS)
    assert points is not None, "checked when the space was read"
    return list(dict.fromkeys(map(space.resolve, points)))


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
        replace(
            one,
            spec=replace(one.spec, student=_confirmed(one), teacher=_seeded(one, offset)),
            built=None if offset else one.built,
        )
        for offset in range(teacher_seeds)
        for one in found
    ]


def _confirmed(finalist: Finalist) -> StudentSpec:
    student = finalist.spec.student
    return student if student.is_kept else finalist.shape


def _seeded(finalist: Finalist, offset: int) -> TeacherSpec:
    teacher = finalist.spec.teacher
    return replace(teacher, seed=teacher.seed + offset)


def finalist_of(record: TrialRecord, student: str = "") -> Finalist:
    """Return a trial that has built its student, of that name, as a finalist."""
    spec, shape = record.spec, record.student
    assert shape is not None, "a trial with an epoch has a student"
    if spec.student.is_kept:  # Its baselines start from the same weights.
        return Finalist(spec, replace(spec.student, start=spec.prune), student, shape.built)
    # A student shaped by its teacher uses the teacher's code.
    source = spec.student if shape.model == spec.student.model else spec.teacher
    options = tuple(sorted(shape.options.items()))
    widths = tuple(sorted((name, width) for name, (width, _) in shape.widths.items()))
    built = StudentSpec(model=shape.model, options=options, code=source.code, widths=widths)
    return Finalist(spec, built, student, shape.built)
