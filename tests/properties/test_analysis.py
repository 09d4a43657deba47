"""What holds for every study: records in any order rank alike, and a dominated teacher never stands above."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.analysis import rank_teachers
from pdsearch.analysis.crossed import holm
from pdsearch.objectives import front
from tests.analysis.synthetic_studies import confirmed, record, study

METHODS = ("magnitude", "taylor", "snip", None, "alone")
accuracies = st.integers(0, 1000).map(lambda n: n / 1000)
students = st.dictionaries(st.sampled_from(METHODS), st.lists(accuracies, min_size=1, max_size=4), max_size=5)


def _records(values: dict[str | None, list[float]]) -> list[dict[str, Any]]:
    found = [item for method, accuracy in values.items() for item in confirmed(method, accuracy)]
    trials = [record("fisher", a, kind="search", number=n) for n, (a, *_) in enumerate(values.values())]
    return [*found, *trials]


@settings(max_examples=40, deadline=None)
@given(values=students, data=st.data())
def test_order_of_records_does_not_matter(values: dict[str | None, list[float]], data: st.DataObject) -> None:
    records = _records(values)
    assert rank_teachers(study(data.draw(st.permutations(records)))) == rank_teachers(study(records))


@settings(max_examples=40, deadline=None)
@given(values=st.lists(accuracies.filter(lambda a: a >= 0.1), min_size=1, max_size=5), worse=st.data())
def test_a_dominated_teacher_never_stands_above(values: list[float], worse: st.DataObject) -> None:
    steps = worse.draw(st.lists(st.integers(1, 100), min_size=len(values), max_size=len(values)))
    beaten = [value - step / 1000 for value, step in zip(values, steps, strict=True)]
    names = worse.draw(st.permutations(["magnitude", "taylor"]))
    rows = rank_teachers(study([*confirmed(names[0], beaten), *confirmed(names[1], values)])).rows
    assert [row.best.prune_method for row in rows] == [names[1], names[0]]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_front_is_brute_forces(points: list[tuple[int, int, int]]) -> None:
    def dominates(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        at_least = a[0] >= b[0] and a[1] <= b[1] and a[2] >= b[2]
        return at_least and a != b

    expected = [n for n, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    assert front(points, ("maximize", "minimize", "maximize")) == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_monotone_and_never_smaller(values: list[float]) -> None:
    adjusted = holm(np.array(values)).tolist()
    assert all(a >= p for a, p in zip(adjusted, values, strict=True))
    assert all(a <= 1 for a in adjusted)
    order = sorted(range(len(values)), key=lambda n: values[n])
    assert [adjusted[n] for n in order] == sorted(adjusted)
