"""The front holds exactly the trials no other dominates."""

import pytest

from pdsearch.analysis.pareto import pareto_front
from pdsearch.errors import ConfigError
from pdsearch.objectives import front
from tests.analysis.synthetic_studies import record, study

OBJECTIVES = [
    {"metric": "student.val_accuracy", "goal": "maximize"},
    {"metric": "student.params", "goal": "minimize"},
]


def test_front_by_hand() -> None:
    points = [(0.9, 100), (0.8, 50), (0.8, 60), (0.9, 100), (0.7, 50), (0.95, 300)]
    assert front(points, ("maximize", "minimize")) == [0, 1, 3, 5]


def test_no_points() -> None:
    assert front([], ("maximize", "minimize")) == []


def _trials() -> list[dict[str, object]]:
    values = [(0.9, 100), (0.8, 50), (0.8, 60), (None, 10)]
    trials = []
    for number, (accuracy, params) in enumerate(values):
        item = record("magnitude", 0.5, kind="search", number=number)
        item["values"] = {"student.params": params} | ({"student.val_accuracy": accuracy} if accuracy else {})
        trials.append(item)
    return [*trials, record("magnitude", 0.99, kind="search", number=9, state="stopped")]


def test_a_studys_own_objectives() -> None:
    found = pareto_front(study(_trials(), space={"objectives": OBJECTIVES}))
    assert [row.number for row in found.rows] == [0, 1]
    assert [row.number for row in found.left_out] == [3]


def test_the_first_objective_orders_them() -> None:
    found = pareto_front(study(_trials(), space={"objectives": OBJECTIVES[::-1]}))
    assert [row.number for row in found.rows] == [1, 0]


def test_one_objective_has_no_front() -> None:
    with pytest.raises(ConfigError, match="two objectives"):
        pareto_front(study(_trials(), space={"objectives": OBJECTIVES[:1]}))
