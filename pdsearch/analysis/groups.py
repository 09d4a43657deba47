"""Grouping of results: students by teacher and configuration, search trials by teacher."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from pdsearch.analysis.study_table import Row, measured
from pdsearch.objectives import Aims

__all__ = [
    "METRICS",
    "Group",
    "Metric",
    "Role",
    "Seeds",
    "confirmed_groups",
    "role_of",
    "search_trials",
    "units",
]

Metric: TypeAlias = Literal["val_accuracy", "test_accuracy"]
METRICS: tuple[Metric, ...] = ("val_accuracy", "test_accuracy")
Role: TypeAlias = Literal["teacher", "unpruned", "alone"]
Seeds: TypeAlias = tuple[int, int]
_TEACHER_SEEDS_FOR_A_CLAIM_ABOUT_METHODS = 3


@dataclass(frozen=True)
class Group:
    """The confirmation students of one configuration, over seeds.

    Args:
        teacher: Hash of the teacher's configuration without its seed; None for the student alone.
        setting: Hash of the configuration without any seed.
        rows: Rows by (teacher seed, student seed), in that order.
    """

    teacher: str | None
    setting: str
    rows: Mapping[Seeds, Row]

    @property
    def first(self) -> Row:
        """The row of the lowest seeds, which represents the configuration."""
        return next(iter(self.rows.values()))

    @property
    def teacher_seeds(self) -> int:
        """Number of teachers trained."""
        return len({teacher for teacher, _ in self.rows})

    @property
    def control(self) -> bool:
        """Whether its teacher is a control: trained through the rounds of a pruned one without pruning (`train_on`)."""
        return self.first.prune_method is not None and self.first.teacher_sparsity == 0

    @property
    def validated(self) -> bool:
        """Whether there were validation images, by which configurations can be selected."""
        return self.first.val_accuracy is not None

    def means(self) -> dict[str, float]:
        """Return the means over its students of every metric that all of them have."""
        found = [measured(row) for row in self.rows.values()]
        shared = set.intersection(*(set(values) for values in found))
        return {name: math.fsum(values[name] for values in found) / len(found) for name in sorted(shared)}

    def values(self, metric: Metric) -> dict[Seeds, float]:
        """Return a metric by seeds, where it was measured."""
        found = {seeds: getattr(row, metric) for seeds, row in self.rows.items()}
        return {seeds: value for seeds, value in found.items() if value is not None}


def role_of(row: Row) -> Role:
    """Return whether a student has a pruned teacher, an unpruned one, or none."""
    if row.teacher_config is None:
        return "alone"
    return "teacher" if row.prune_method else "unpruned"


def confirmed_groups(rows: Iterable[Row]) -> list[Group]:
    """Group the complete confirmation rows; the result does not depend on their order."""
    found: dict[tuple[str, str], dict[Seeds, Row]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.id):
        if row.kind == "confirm" and row.state == "complete" and _measured(row):
            seeds = (row.teacher_seed or 0, row.student_seed)
            found[row.teacher_config or "", row.setting].setdefault(seeds, row)
    return [
        Group(teacher or None, setting, dict(sorted(group.items())))
        for (teacher, setting), group in sorted(found.items())
    ]


def search_trials(rows: Iterable[Row], aims: Aims) -> dict[str, list[Row]]:
    """Return the feasible search and baseline trials that reached an epoch, by teacher configuration."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        ended = row.state in ("complete", "stopped") and _measured(row) and aims.feasible(measured(row))
        if row.kind in ("search", "baseline") and ended and row.teacher_config:
            found[row.teacher_config].append(row)
    return dict(found)


def _measured(row: Row) -> bool:
    # Without validation images only the test accuracy exists; nothing was selected by it.
    return row.val_accuracy is not None or row.test_accuracy is not None


def units(values: Mapping[Seeds, float]) -> list[dict[int, float]]:
    """Average values to independent units, by seed: one result for each kind of seed that is a unit.

    With three or more teacher seeds each teacher is one unit (the mean of its students), and the claim is about
    teachers of this kind; each student seed is one unit as well, and the wider of the two intervals is used, because
    all teachers share the same student seeds. With fewer, only the student seeds are units and the claim is about these
    teachers: the students of one teacher do not show how teachers vary.
    """
    teachers = len({teacher for teacher, _ in values})
    places = (0, 1) if teachers >= _TEACHER_SEEDS_FOR_A_CLAIM_ABOUT_METHODS else (1,)
    return [_averaged(values, place) for place in places]


def _averaged(values: Mapping[Seeds, float], place: int) -> dict[int, float]:
    found: dict[int, list[float]] = defaultdict(list)
    for seeds, value in sorted(values.items()):
        found[seeds[place]].append(value)
    return {seed: math.fsum(group) / len(group) for seed, group in found.items()}
