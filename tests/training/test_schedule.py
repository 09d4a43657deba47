"""Rates follow their schedules; one cycle is torch's own, value by value."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from pdsearch.specs import Recipe
from pdsearch.training import learning_rate

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


@pytest.mark.parametrize(("peak", "steps"), [(0.1, 2), (0.3, 1), (0.3, 7), (0.55, 1), (0.55, 3)])
def test_one_cycle_is_that_of_torch(peak: float, steps: int) -> None:
    recipe = replace(RECIPE, schedule="one_cycle", peak=peak)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = OneCycleLR(optimizer, 0.8, total_steps=10 * steps, pct_start=peak, cycle_momentum=False)
    expected = []
    for _ in range(10 * steps):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        if len(expected) < 10 * steps:
            scheduler.step()
    assert rates(recipe, steps) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_one_cycle_of_a_few_steps_begins_at_its_peak(epochs: int) -> None:
    found = rates(replace(RECIPE, epochs=epochs, schedule="one_cycle", peak=0.3), 1)
    assert found[0] == 0.8
    assert found == sorted(found, reverse=True)
