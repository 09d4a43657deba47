"""Grouping of results: students by teacher and configuration, pairs of students, search trials by teacher."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Literal, TypeAlias

import numpy as np

from pdsearch.analysis.crossed import Floats
from pdsearch.analysis.statistics import Estimate, Sample, Seeds, complete, estimates, sample_of
from pdsearch.analysis.study_table import Row
from pdsearch.objectives import Aims
from pdsearch.records.codec import unpack
from pdsearch.records.students import alike

Metric: TypeAlias = Literal["val_accuracy", "test_accuracy"]
METRICS: tuple[Metric, ...] = ("val_accuracy", "test_accuracy")
Role: TypeAlias = Literal["teacher", "unpruned", "alone"]
Line: TypeAlias = tuple[str | None, str]
"""What a line of a ranking is about: a teacher's configuration (None for the student alone), its students' name."""


@dataclass(frozen=True)
class Group:
    """The confirmation students of one configuration, over seeds.

    Args:
        teacher: Hash of the teacher's configuration without its seed; None for the student alone.
        student: Name of the students that its own are compared with (`students.alike`).
        setting: Hash of the configuration without any seed.
        rows: Rows by (teacher seed, student seed), in that order; at least one.
    """

    teacher: str | None
    student: str
    setting: str
    rows: Mapping[Seeds, Row]

    @property
    def line(self) -> Line:
        """What a line of a ranking is about."""
        return self.teacher, self.student

    @property
    def first(self) -> Row:
        """The row of the lowest seeds, which represents the configuration."""
        return next(iter(self.rows.values()))

    @property
    def teacher_seeds(self) -> int:
        """Number of teachers trained."""
        return len({teacher for teacher, _ in self.rows})

    @cached_property
    def counted(self) -> list[Seeds]:
        """The seeds of the students in its means: those with their counterparts of every other seed."""
        return _crossed(self.rows)

    @property
    def control(self) -> bool:
        """Whether its teacher is a control: trained through the rounds of a pruned one without pruning (`train_on`)."""
        return self.first.prune_method is not None and self.first.teacher_sparsity == 0

    @property
    def chosen(self) -> bool:
        """Whether its configuration is the one that trials with its own teacher, or without any, chose.

        Such a job names itself as its baseline; one that is only compared with does not.
        """
        return self.first.config in (self.first.unpruned_config, self.first.alone_config)

    @property
    def validated(self) -> bool:
        """Whether there were validation images, by which configurations can be selected."""
        return self.first.val_accuracy is not None

    def means(self, counts: Callable[[Seeds], bool] = lambda _: True) -> dict[str, float]:
        """Return the means over its students of every metric that all of them have; nothing where no student counts.

        As in the tables, students that lack their counterparts with another teacher are left out.

        Args:
            counts: Whether the students of these seeds count.
        """
        found = [values for seeds, values in self._measured.items() if counts(seeds)]
        shared = set.intersection(*map(set, found)) if found else ()
        return {name: math.fsum(values[name] for values in found) / len(found) for name in sorted(shared)}

    @cached_property
    def _measured(self) -> Mapping[Seeds, Mapping[str, float]]:
        return {seeds: self.rows[seeds].record.values for seeds in self.counted}

    def values(self, metric: Metric) -> dict[Seeds, float]:
        """Return a metric by seeds, where it was measured."""
        found = {seeds: getattr(row, metric) for seeds, row in self.rows.items()}
        return {seeds: value for seeds, value in found.items() if value is not None}

    def mean(self, metric: Metric) -> float | None:
        """Return the mean of a metric that its estimate has; None if it was never measured."""
        values = self.values(metric)
        counted = [values[seeds] for seeds in _crossed(values)]
        return math.fsum(counted) / len(counted) if counted else None

    def sample(self, metric: Metric) -> Sample | None:
        """Return a metric over its seeds, image by image where every record says so; None if it was never measured."""
        known = {seeds: row for seeds, row in self.rows.items() if getattr(row, metric) is not None}
        if not known:
            return None
        results: dict[Seeds, float | Floats] = {seeds: getattr(row, metric) for seeds, row in known.items()}
        if metric == "test_accuracy" and _by_image(known.values()):
            results = {seeds: _answers(row.test_right or "") for seeds, row in known.items()}
        return sample_of(results)


def _crossed(there: Iterable[Seeds]) -> list[Seeds]:
    return list(product(*complete(there)))


def paired_differences(
    ours: Mapping[Seeds, Row], theirs: Mapping[Seeds, Row], metric: Metric
) -> dict[Seeds, float | Floats]:
    """Return ours minus theirs where both measured a metric: by image, (N,), where every record says so."""
    pairs = {
        seeds: (row, theirs[seeds])
        for seeds, row in ours.items()
        if seeds in theirs and None not in (getattr(row, metric), getattr(theirs[seeds], metric))
    }
    if metric == "test_accuracy" and _by_image([row for pair in pairs.values() for row in pair]):
        return {s: _answers(a.test_right or "") - _answers(b.test_right or "") for s, (a, b) in pairs.items()}
    return {seeds: getattr(a, metric) - getattr(b, metric) for seeds, (a, b) in pairs.items()}


def _by_image(rows: Iterable[Row]) -> bool:
    """Return whether all rows tell which test images they got right, of equally many."""
    counts = {row.test_right.partition(":")[0] if row.test_right else None for row in rows}
    return len(counts) == 1 and counts != {None} and counts != {"1"}


@lru_cache(maxsize=10_000)
def _answers(text: str) -> Floats:
    count, bits = unpack(text)
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).astype(np.float64)


def role_of(row: Row) -> Role:
    """Return whether a student has a pruned teacher, an unpruned one, or none."""
    if row.teacher_config is None:
        return "alone"
    return "teacher" if row.prune_method else "unpruned"


def confirmed_groups(rows: Sequence[Row]) -> list[Group]:
    """Group the complete confirmation rows of a study; the result does not depend on their order."""
    likes = alike(row.student for row in rows)
    found: dict[tuple[str, str], dict[Seeds, Row]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.id):
        if row.kind == "confirm" and row.state == "complete" and _measured(row):
            seeds = (row.teacher_seed or 0, row.student_seed)
            found[row.teacher_config or "", row.setting].setdefault(seeds, row)
    ordered = [(name, dict(sorted(group.items()))) for name, group in sorted(found.items())]
    return [
        Group(teacher or None, likes[next(iter(group.values())).student], setting, group)
        for (teacher, setting), group in ordered
    ]


def means_of(groups: Iterable[Group], metric: Metric) -> dict[str, Estimate]:
    """Return the means of a metric over the students of groups by setting, with their intervals."""
    samples = {group.setting: group.sample(metric) for group in groups}
    known = {setting: sample for setting, sample in samples.items() if sample is not None}
    return {
        setting: estimate.as_share()
        for setting, (estimate, _) in zip(known, estimates([*known.values()]), strict=True)
    }


def search_trials(rows: Sequence[Row], aims: Aims) -> dict[Line, list[Row]]:
    """Return the feasible search and baseline trials of a study that reached an epoch, by teacher and student."""
    likes = alike(row.student for row in rows)
    found: dict[Line, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        ended = row.state in ("complete", "stopped") and _measured(row) and aims.feasible(row.record.values)
        if row.kind in ("search", "baseline") and ended and row.teacher_config:
            found[row.teacher_config, likes[row.student]].append(row)
    return dict(found)


def _measured(row: Row) -> bool:
    # Without validation images only the test accuracy exists; nothing was selected by it.
    return row.val_accuracy is not None or row.test_accuracy is not None
