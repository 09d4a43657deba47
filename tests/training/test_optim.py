"""Optimizers, their parameter groups, and learning rates by epoch."""

from dataclasses import replace
from inspect import signature, unwrap
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from pdsearch.errors import ConfigError
from pdsearch.specs import Recipe
from pdsearch.training.optim import learning_rate, make_optimizer, validate

RECIPE = Recipe(epochs=10, lr=0.8, milestones=(3, 6), gamma=0.5)


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_optimizers(name: str, kind: type[torch.optim.Optimizer]) -> None:
    made = make_optimizer(nn.Linear(2, 2), replace(RECIPE, optimizer=name, weight_decay=0.1))
    assert isinstance(made, kind)
    assert vars(type(made).step)["__wrapped__"] is unwrap(kind.step)  # No hook between them.
    assert made.defaults["lr"] == 0.8
    assert made.defaults["weight_decay"] == 0.1


KINDS: list[tuple[str, type[torch.optim.Optimizer], dict[str, Any]]] = [
    ("sgd", torch.optim.SGD, {}),
    ("sgd", torch.optim.SGD, {"nesterov": False}),
    ("sgd", torch.optim.SGD, {"momentum": 0.0}),
    ("adam", torch.optim.Adam, {}),
    ("adamw", torch.optim.AdamW, {}),
]


def side_by_side(name: str, kind: type[torch.optim.Optimizer], fields: dict[str, Any]) -> list[Any]:
    """Three equal weights and their optimizer, ours; and the same with torch's unfused one."""
    recipe = replace(RECIPE, optimizer=name, lr=0.1, weight_decay=0.1, **fields)
    found: list[Any] = []
    for plain in (False, True):
        model = nn.ParameterList(nn.Parameter(torch.arange(1.0, 40.0)) for _ in range(3))
        made = make_optimizer(model, recipe)
        if plain:
            known = {key: value for key, value in made.defaults.items() if key in signature(kind).parameters}
            made = kind(model.parameters(), **{**known, "fused": False, "foreach": False})
        found.append((model, made))
    return found


@pytest.mark.parametrize(("name", "kind", "fields"), KINDS)
def test_a_weight_may_get_its_first_gradient_late(
    name: str, kind: type[torch.optim.Optimizer], fields: dict[str, Any]
) -> None:
    (ours, made), (theirs, plain) = side_by_side(name, kind, fields)
    for trained in ((0,), (1,), (0, 1), (0, 1, 2), (2,), (0, 1, 2)):
        for model, optimizer in ((ours, made), (theirs, plain)):
            optimizer.zero_grad()
            sum(model[place].square().sum() for place in trained).backward()
            optimizer.step()
        torch.testing.assert_close(list(ours), list(theirs))


@pytest.mark.parametrize(("name", "kind", "fields"), KINDS)
@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_overflows_leaves_no_state(
    name: str, kind: type[torch.optim.Optimizer], fields: dict[str, Any], late: bool
) -> None:
    (ours, made), (theirs, plain) = side_by_side(name, kind, fields)
    steps = [(1.0, (0, 1)), (torch.inf, (0, 1, 2))] if late else [(torch.inf, (0, 1, 2))] * 2
    for model, optimizer in ((ours, made), (theirs, plain)):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
        for factor, trained in [*steps, (1.0, (0, 1, 2)), (1.0, (0, 1, 2))]:
            littered = [
                torch.full((39,), 3e37) for _ in range(99)
            ]  # What memory may hold that is asked for next.
            optimizer.zero_grad()
            del littered
            loss = sum(model[place].square().sum() for place in trained) * factor
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            if factor == torch.inf:
                left = [value for held in optimizer.state.values() for value in held.values()]
                assert late or not any(value.any() for value in left)
    torch.testing.assert_close(list(ours), list(theirs))


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_decay_can_be_kept_off_norms_and_biases(name: str) -> None:
    model = network()
    recipe = replace(RECIPE, optimizer=name, weight_decay=0.5, decay_norms=False)
    found = {
        id(parameter): group["weight_decay"]
        for group in make_optimizer(model, recipe).param_groups
        for parameter in group["params"]
    }
    by_name = {label: found[id(parameter)] for label, parameter in model.named_parameters()}
    assert by_name == {
        "0.weight": 0.5,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.5,
        "3.bias": 0.0,
    }


def test_all_parameters_decay_by_default_and_no_group_is_empty() -> None:
    for model, decay, count in ((network(), True, 6), (nn.Linear(2, 2, bias=False), False, 1)):
        recipe = replace(RECIPE, weight_decay=0.5, decay_norms=decay)
        groups = make_optimizer(model, recipe).param_groups
        assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(count, 0.5)]


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].requires_grad_(False)  # type: ignore[index]
    for decay in (True, False):
        groups = make_optimizer(model, replace(RECIPE, decay_norms=decay)).param_groups
        assert sum(len(group["params"]) for group in groups) == 4


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
        {"ema": 1.0},
        {"ema": -0.1},
        {"peak": 0.0},
        {"peak": 1.0},
        {"warmup_epochs": 1, "schedule": "one_cycle"},
    ],
)
def test_impossible_recipes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"recipe\.{next(iter(change))}"):
        validate(replace(RECIPE, **change))


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
    warmed = rates(replace(RECIPE, schedule="cosine", warmup_epochs=2))
    assert [warmed[4], warmed[12]] == pytest.approx([0.8, 0.4])


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
