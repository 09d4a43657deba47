"""What a fair comparison still lacks: full trials of the leading teachers, and recipes of the student alone.

All follows from the trials that were sampled, so that listing it again after an interruption gives the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pdsearch.config.catalog import FROM_TEACHER
from pdsearch.objectives import Aims
from pdsearch.pipeline.keys import teacher_config
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.confirmation.finalists import in_turns, leaders, name_students

_STUDENTS = "student."
_FREE = ("distill.", "train.distill.")
"""Prefixes of parameters that leave teacher and student as they are, so that each pair's own trials choose them."""

Pair: TypeAlias = tuple[str, str]
"""A teacher's configuration, and its students: their name, or "from_teacher", whose size each teacher determines."""

Model: TypeAlias = tuple[str, TrialRecord]
"""A trial that others are modelled on, after the students of its pair."""


@dataclass(frozen=True)
class Lacking:
    """A teacher that has had fewer full trials with a student than another one it is compared with.

    Args:
        fixed: The sampled values that make teacher and student, by dotted name.
        students: The students of the pair.
        pruned: Whether it is pruned; if not, its trials are points of the space of unpruned teachers.
        trials: Full trials it lacks.
        had: Keys of those it has had.
    """

    fixed: Mapping[str, Any]
    students: str
    pruned: bool
    trials: int
    had: frozenset[str]

    def points(self, models: Iterable[Model]) -> Iterator[dict[str, Any]]:
        """Yield points of this teacher with the loss and recipe of other trials, and the student of alike ones.

        The one with most trials has tried so many different ones that there are enough.
        """
        for students, model in models:
            taken = (*_FREE, _STUDENTS) if students == self.students else _FREE
            yield {**self.fixed, **{name: v for name, v in model.params.items() if name.startswith(taken)}}


def short_of_trials(records: Sequence[TrialRecord], *, teachers: int, aims: Aims) -> list[Lacking]:
    """Return the leading pruned teachers and the unpruned ones beside them that have had fewer full trials.

    Each is owed as many with its student as the pair that was given most. Without that, the best of eight
    configurations of one teacher would stand against the best of three of another.

    Args:
        records: All that has finished; those that were sampled decide.
        teachers: Number of pruned teachers to be confirmed.
        aims: By which trials are compared.
    """
    names = name_students(records)
    sampled = [record for record in records if record.number is not None]
    found, full = _involved(sampled, teachers, aims, names), _full(sampled, names)
    most = max((len(full.get(pair, ())) for pair in found), default=0)
    every = (
        Lacking(
            _making(record, pruned=pruned),
            pair[1],
            pruned,
            most - len(full.get(pair, ())),
            frozenset(full.get(pair, ())),
        )
        for pair, (record, pruned) in found.items()
    )
    return [one for one in every if one.trials > 0]


def owed(records: Sequence[TrialRecord], *, teachers: int, aims: Aims) -> int:
    """Return how many trials the unpruned teacher lacks, to have as many full ones as a leading pruned teacher.

    Of each kind of student that a leading one has, it is owed as many.
    """
    names = name_students(records)
    sampled = [record for record in records if record.kind == "search"]
    full = _full(sampled, names)
    wanted: dict[str, int] = {}
    for pair, (_, is_pruned) in _involved(sampled, teachers, aims, names).items():
        if is_pruned:
            wanted[pair[1]] = max(wanted.get(pair[1], 1), len(full.get(pair, ())))
    had = {r.key for r in sampled if r.teacher and r.spec.prune is None and _ran(r)}
    return max(0, sum(wanted.values()) - len(had))


def leading_trials(records: Sequence[TrialRecord], aims: Aims) -> list[Model]:
    """Return the sampled trials that ran to their end and keep the constraints, best first."""
    names = name_students(records)
    full = [
        record
        for record in records
        if record.number is not None and record.state == "complete" and record.student is not None
        if aims.objectives[0].metric in record.values and aims.feasible(record.values)
    ]
    ordered = sorted(full, key=lambda record: (aims.merit(record.values), record.id), reverse=True)
    return [(_students(record, names), record) for record in ordered]


def most_trials(records: Sequence[TrialRecord]) -> int:
    """Return the number of full trials of the pair of teacher and student that was given most."""
    sampled = (record for record in records if record.number is not None)
    return max(map(len, _full(sampled, name_students(records)).values()), default=0)


def _students(record: TrialRecord, names: Mapping[str, str]) -> str:
    return FROM_TEACHER if record.spec.student.model == FROM_TEACHER else names[record.id]


def _involved(
    sampled: Iterable[TrialRecord], teachers: int, aims: Aims, names: Mapping[str, str]
) -> dict[Pair, tuple[TrialRecord, bool]]:
    """Return the pairs that are compared: a trial that shows each, and whether its teacher is pruned."""
    ranked = in_turns(leaders([record for record in sampled if record.kind == "search"], aims, names), names)
    pruned = [record for record in ranked if record.spec.prune is not None][:teachers]
    dense = [record for record in ranked if record.spec.prune is None][:1]
    found = {
        (record.teacher.config, _students(record, names)): (record, True)
        for record in pruned
        if record.teacher
    }
    for record in [*pruned, *dense]:
        source = teacher_config(replace(record.spec, prune=None))
        found.setdefault((source, _students(record, names)), (record, False))
    return found


def _ran(record: TrialRecord) -> bool:
    """Return whether a trial ran to its end; one that broke a constraint there counts."""
    return record.state == "complete" or (record.state == "infeasible" and bool(record.reports))


def _full(sampled: Iterable[TrialRecord], names: Mapping[str, str]) -> dict[Pair, set[str]]:
    """Return the keys of the trials that ran to their end, by pair."""
    found: dict[Pair, set[str]] = {}
    for record in sampled:
        if record.teacher and _ran(record):
            found.setdefault((record.teacher.config, _students(record, names)), set()).add(record.key)
    return found


def _making(record: TrialRecord, *, pruned: bool) -> dict[str, object]:
    """Return the sampled values that make a trial's student and its teacher, or the one that was pruned for it."""
    return {
        name: value
        for name, value in record.params.items()
        if not name.startswith(_FREE) and (pruned or not name.startswith(("prune.", "train.recover.")))
    }
