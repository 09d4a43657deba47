"""Results that belong together: students by teacher and configuration, search trials by teacher."""

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
        teacher: Configuration hash of the teacher without its seed; None for the student alone.
        setting: Configuration hash without any seed.
        rows: By (teacher seed, student seed), in that order.
    """

    teacher: str | None
    setting: str
    rows: Mapping[Seeds, Row]

    @property
    def first(self) -> Row:
        """The row of the lowest seeds; stands for the configuration."""
        return next(iter(self.rows.values()))

    @property
    def teacher_seeds(self) -> int:
        """How many teachers were trained."""
        return len({teacher for teacher, _ in self.rows})

    @property
    def control(self) -> bool:
        """Whether its teacher went through the rounds of a pruned one and lost nothing (`train_on`)."""
        return self.first.prune_method is not None and self.first.teacher_sparsity == 0

    @property
    def validated(self) -> bool:
        """Whether validation images were cut off, by which configurations can be chosen."""
        return self.first.val_accuracy is not None

    def means(self) -> dict[str, float]:
        """Return every metric that all its students have, averaged over them."""
        found = [measured(row) for row in self.rows.values()]
        shared = set.intersection(*(set(values) for values in found))
        return {name: math.fsum(values[name] for values in found) / len(found) for name in sorted(shared)}

    def values(self, metric: Metric) -> dict[Seeds, float]:
        """Return a metric by seeds, where it was measured."""
        found = {seeds: getattr(row, metric) for seeds, row in self.rows.items()}
        return {seeds: value for seeds, value in found.items() if value is not None}


def role_of(row: Row) -> Role:
    """Tell a pruned teacher's student from an unpruned one's and from a student alone."""
    if row.teacher_config is None:
        return "alone"
    return "teacher" if row.prune_method else "unpruned"


def confirmed_groups(rows: Iterable[Row]) -> list[Group]:
    """Group the complete confirmation rows; the result depends on no order."""
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
    # Without validation images, the test accuracy of a student that nothing selected is all there is.
    return row.val_accuracy is not None or row.test_accuracy is not None


def units(values: Mapping[Seeds, float]) -> list[dict[int, float]]:
    """Average values down to the ones that vary independently, by seed: once for each kind of seed that counts.

    With three teacher seeds or more each teacher is one value (the mean of its students), and the claim is about
    teachers of this kind; each student seed is one value as well, and the wider interval holds, because the same
    student seeds serve every teacher. With fewer, only the student seeds count, for the teachers at hand: the
    students of one teacher say nothing about how teachers vary.
    """
    teachers = len({teacher for teacher, _ in values})
    places = (0, 1) if teachers >= _TEACHER_SEEDS_FOR_A_CLAIM_ABOUT_METHODS else (1,)
    return [_averaged(values, place) for place in places]


def _averaged(values: Mapping[Seeds, float], place: int) -> dict[int, float]:
    found: dict[int, list[float]] = defaultdict(list)
    for seeds, value in sorted(values.items()):
        found[seeds[place]].append(value)
    return {seed: math.fsum(group) / len(group) for seed, group in found.items()}
