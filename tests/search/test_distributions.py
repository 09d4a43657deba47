from typing import Any

import optuna
from optuna.samplers import RandomSampler

from pdsearch.config import Parameter
from pdsearch.search.optuna_backend.convert import suggest

PARAMETERS = (
    Parameter("prune.method", "categorical", choices=("none", "magnitude")),
    Parameter("prune.ratio", "categorical", choices=(0.2, 0.36), when={"prune.method": ("magnitude",)}),
    Parameter("distill.temperature", "float", low=1.0, high=20.0, log=True),
    Parameter("distill.alpha", "float", low=0.0, high=1.0, step=0.25),
    Parameter("train.distill.epochs", "int", low=2.0, high=8.0, step=2.0),
)


def points(count: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    return [suggest(study.ask(), PARAMETERS) for _ in range(count)]


def test_values_lie_in_their_ranges_on_their_steps() -> None:
    found = points(60)
    assert {point["prune.method"] for point in found} == {"none", "magnitude"}
    assert all(1 <= point["distill.temperature"] <= 20 for point in found)
    assert {point["distill.alpha"] for point in found} == {0, 0.25, 0.5, 0.75, 1}
    assert {point["train.distill.epochs"] for point in found} == {2, 4, 6, 8}
    assert all(type(point["train.distill.epochs"]) is int for point in found)


def test_a_logarithmic_range_has_half_its_points_below_its_geometric_middle() -> None:
    below = sum(point["distill.temperature"] < 20**0.5 for point in points(200))
    assert 70 < below < 130


def test_a_parameter_whose_condition_does_not_hold_is_left_out() -> None:
    for point in points(30):
        assert ("prune.ratio" in point) == (point["prune.method"] == "magnitude")
