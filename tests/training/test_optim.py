"""Recipes become optimizers and rates; impossible ones are refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.specs import Recipe
from pdsearch.training import learning_rate, make_optimizer
from pdsearch.training.optim import validate

RECIPE = Recipe(epochs=10, lr=0.8, milestones=(3, 6), gamma=0.5)


def rates(recipe: Recipe, steps: int = 2) -> list[float]:
    return [
        learning_rate(recipe, epoch, step, steps) for epoch in range(recipe.epochs) for step in range(steps)
    ]


def test_step_schedule() -> None:
    assert rates(RECIPE, 1) == [0.8] * 3 + [0.4] * 3 + [0.2] * 4


def test_warm_up_is_linear_by_step_and_reaches_the_rate() -> None:
    assert rates(replace(RECIPE, warmup_epochs=2))[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_cosine_falls_from_the_rate_to_almost_zero() -> None:
    found = rates(replace(RECIPE, schedule="cosine"))
    assert found[0] == 0.8
    assert found[10] == pytest.approx(0.4)
    assert found == sorted(found, reverse=True)
    assert 0 < found[-1] < 0.01


def test_cosine_starts_after_warm_up() -> None:
    found = rates(replace(RECIPE, schedule="cosine", warmup_epochs=2))
    assert found[4] == 0.8
    assert found[12] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_optimizers(name: str, kind: type[torch.optim.Optimizer]) -> None:
    made = make_optimizer(nn.Linear(2, 2), replace(RECIPE, optimizer=name, weight_decay=0.1))
    assert type(made) is kind
    assert made.defaults["lr"] == 0.8
    assert made.defaults["weight_decay"] == 0.1


def test_nesterov_needs_momentum() -> None:
    assert not make_optimizer(nn.Linear(2, 2), replace(RECIPE, momentum=0.0)).defaults["nesterov"]
    assert make_optimizer(nn.Linear(2, 2), RECIPE).defaults["nesterov"]


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"lr": 0.0},
        {"lr": float("inf")},
        {"batch_size": 0},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"warmup_epochs": 10},
        {"label_smoothing": 1.0},
        {"schedule": "steps"},
        {"select": "best"},
        {"optimizer": "lion"},
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"recipe\.{next(iter(change))}"):
        validate(replace(RECIPE, **change))
