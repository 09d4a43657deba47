"""A finite space is listed whole; anything with a continuous range, or too many points, is not."""

from typing import Any

from pdsearch.config import Parameter
from pdsearch.config.resolve import points_of


def choice(name: str, *values: Any, when: dict[str, tuple[Any, ...]] | None = None) -> Parameter:
    return Parameter(name, "categorical", choices=values, when=when or {})


def test_a_condition_leaves_out_what_does_not_count() -> None:
    ratio = choice("ratio", 0.36, 0.59, when={"method": ("magnitude",)})
    found = points_of([choice("method", "none", "magnitude"), ratio], limit=10)
    assert found == [
        {"method": "none"},
        {"method": "magnitude", "ratio": 0.36},
        {"method": "magnitude", "ratio": 0.59},
    ]


def test_steps_reach_the_end_of_their_range_and_keep_their_type() -> None:
    assert points_of([Parameter("epochs", "int", low=1, high=5, step=2)], limit=10) == [
        {"epochs": 1},
        {"epochs": 3},
        {"epochs": 5},
    ]
    tenths = points_of([Parameter("alpha", "float", low=0.1, high=0.3, step=0.1)], limit=10)
    assert tenths is not None
    assert [round(point["alpha"], 9) for point in tenths] == [0.1, 0.2, 0.3]


def test_a_continuous_range_has_no_list() -> None:
    assert points_of([choice("a", 1), Parameter("t", "float", low=1.0, high=20.0)], limit=10) is None


def test_too_many_points_are_not_listed() -> None:
    assert points_of([choice("a", 1, 2, 3), choice("b", 1, 2, 3)], limit=9) is not None
    assert points_of([choice("a", 1, 2, 3), choice("b", 1, 2, 3)], limit=8) is None


def test_a_space_without_parameters_is_one_point() -> None:
    assert points_of([], limit=1) == [{}]


def test_steps_are_exact_decimals_within_the_range() -> None:
    found = points_of([Parameter("distill.alpha", "float", low=0.1, high=0.7, step=0.2)], limit=10)
    assert found == [{"distill.alpha": value} for value in (0.1, 0.3, 0.5, 0.7)]
