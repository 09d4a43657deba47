"""What a fair comparison still lacks: full trials of the leading teachers, and recipes of the student alone.

All follows from the trials that were sampled, so that listing it again after an interruption gives the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pdsearch.objectives import Aims
from pdsearch.pipeline.keys import teacher_config
from pdsearch.search.confirmation.finalists import leaders
from pdsearch.trial_record import TrialRecord

_FREE = ("distill.", "student.", "train.distill.")
"""Prefixes of parameters that leave the teacher as it is, so that each teacher's trials choose them."""


@dataclass(frozen=True)
class Lacking:
    """A teacher that has had fewer full trials than another one it is compared with.

    Args:
        fixed: The sampled values that make it, by dotted name.
        pruned: Whether it is pruned; if not, its trials are points of the space of unpruned teachers.
        trials: Full trials it lacks.
        had: Keys of those it has had.
    """

    fixed: Mapping[str, Any]
    pruned: bool
    trials: int
    had: frozenset[str]

    def points(self, models: Iterable[TrialRecord]) -> Iterator[dict[str, Any]]:
        """Yield points of this teacher with the student, loss and recipe of other trials.

        The one with most trials has tried so many different ones that there are enough.
        """
        for model in models:
            yield {**self.fixed, **{name: v for name, v in model.params.items() if name.startswith(_FREE)}}


def lacking(records: Iterable[TrialRecord], *, teachers: int, aims: Aims) -> list[Lacking]:
    """Return the leading pruned teachers and the unpruned ones beside them that have had fewer full trials.

    Each is owed as many as the one that was given most. Without that, the best of eight configurations of one teacher
    would stand against the best of three of another.

    Args:
        records: All that has finished; those that were sampled decide.
        teachers: Number of pruned teachers to be confirmed.
        aims: By which trials are compared.
    """
    sampled = [record for record in records if record.number is not None]
    found, full = _involved(sampled, teachers, aims), _full(sampled)
    most = max((len(full.get(teacher, ())) for teacher in found), default=0)
    every = (
        Lacking(
            _making(record, pruned=pruned),
            pruned,
            most - len(full.get(teacher, ())),
            frozenset(full.get(teacher, ())),
        )
        for teacher, (record, pruned) in found.items()
    )
    return [one for one in every if one.trials > 0]


def owed(records: Iterable[TrialRecord], *, teachers: int, aims: Aims) -> int:
    """Return how many trials the unpruned teacher lacks, to have as many full ones as a leading pruned teacher."""
    sampled = [record for record in records if record.kind == "search"]
    full = _full(sampled)
    pruned = [teacher for teacher, (_, is_pruned) in _involved(sampled, teachers, aims).items() if is_pruned]
    wanted = max((len(full.get(teacher, ())) for teacher in pruned), default=0)
    had = {r.key for r in sampled if r.teacher and r.spec.prune is None and _ran(r)}
    return max(0, max(wanted, 1 if pruned else 0) - len(had))


def leading_trials(records: Iterable[TrialRecord], aims: Aims) -> list[TrialRecord]:
    """Return the sampled trials that ran to their end and keep the constraints, best first."""
    full = [
        record
        for record in records
        if record.number is not None and record.state == "complete" and record.student is not None
        if aims.objectives[0].metric in record.values and aims.feasible(record.values)
    ]
    return sorted(full, key=lambda record: (aims.merit(record.values), record.id), reverse=True)


def most_trials(records: Iterable[TrialRecord]) -> int:
    """Return the number of full trials of the teacher that was given most."""
    sampled = (record for record in records if record.number is not None)
    return max(map(len, _full(sampled).values()), default=0)


def _involved(
    sampled: Iterable[TrialRecord], teachers: int, aims: Aims
) -> dict[str, tuple[TrialRecord, bool]]:
    """Return the teachers that are compared: a trial that shows each, and whether it is pruned."""
    ranked = leaders((record for record in sampled if record.kind == "search"), aims)
    pruned = [record for record in ranked if record.spec.prune is not None][:teachers]
    dense = [record for record in ranked if record.spec.prune is None][:1]
    found = {record.teacher.config: (record, True) for record in pruned if record.teacher}
    for record in [*pruned, *dense]:
        found.setdefault(teacher_config(replace(record.spec, prune=None)), (record, False))
    return found


def _ran(record: TrialRecord) -> bool:
    """Return whether a trial ran to its end; one that broke a constraint there counts."""
    return record.state == "complete" or (record.state == "infeasible" and bool(record.reports))


def _full(sampled: Iterable[TrialRecord]) -> dict[str, set[str]]:
    """Return the keys of the trials that ran to their end, by teacher."""
    found: dict[str, set[str]] = {}
    for record in sampled:
        if record.teacher and _ran(record):
            found.setdefault(record.teacher.config, set()).add(record.key)
    return found


def _making(record: TrialRecord, *, pruned: bool) -> dict[str, object]:
    """Return the sampled values that make a trial's teacher, or the unpruned one it was pruned from."""
    return {
        name: value
        for name, value in record.params.items()
        if not name.startswith(_FREE) and (pruned or not name.startswith(("prune.", "train.recover.")))
    }
