"""All that changes while training is in `tensors` and `meta`, and comes back bit for bit."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training.device import Engine
from pdsearch.training.state import TrainingState

Build = Callable[..., nn.Module]


def step(state: TrainingState, views: Any, count: int = 1) -> None:
    for _ in range(count):
        state.optimizer.zero_grad()
        torch.autograd.backward(state.model(views.images).square().mean())
        state.optimizer.step()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_first_of_the_highest_values_wins(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), replace(recipe, select="best_val"), engine)
    seen = []
    for value in (0.0, 0.6, 0.6, 0.2):
        step(state, views)
        state.consider(value)
        seen.append(weights(state.model))
    state.finish()
    assert same(weights(state.model), seen[1])


def test_an_accuracy_of_zero_is_better_than_none(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), replace(recipe, select="best_val"), engine)
    state.consider(0.0)
    first = weights(state.model)
    step(state, views)
    state.finish()
    assert same(weights(state.model), first)


def test_the_last_weights_are_handed_on_where_the_recipe_says_so(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), recipe, engine)
    state.consider(0.9)
    step(state, views)
    last = weights(state.model)
    state.finish()
    assert same(weights(state.model), last)
    assert not [name for name in state.tensors() if name.startswith("best/")]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_weight_that_is_no_number_is_noticed(
    value: float, build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), recipe, engine)
    assert state.not_finite() == []
    with torch.no_grad():
        list(state.model.parameters())[-1].view(-1)[-1] = value
        state.model[1].running_var[0] = value  # type: ignore[index]
    assert state.not_finite() == ["5.bias", "1.running_var"]


def test_a_mask_that_a_network_was_built_with_is_no_fault(
    build: Build, recipe: Recipe, engine: Engine
) -> None:
    model = build()
    model.register_buffer("seen", torch.tensor([0.0, -torch.inf]))
    model.register_buffer("mean", torch.zeros(2), persistent=False)
    state = TrainingState(model, recipe, engine)
    assert state.not_finite() == []
    model.get_buffer("mean").fill_(torch.nan)
    assert state.not_finite() == ["mean"]


def test_large_weights_are_numbers_though_their_sum_is_none_in_float32(
    build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), recipe, engine)
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.fill_(3e38)
    assert state.not_finite() == []


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_state_that_was_put_back_goes_on_with_the_same_bits(
    optimizer: str, views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    chosen = replace(recipe, optimizer=optimizer, select="best_val")
    one, other = TrainingState(build(), chosen, engine), TrainingState(build(seed=1), chosen, engine)
    step(one, views, 3)
    one.consider(0.7)
    step(one, views)
    other.restore(one.tensors(), json.loads(json.dumps(one.meta())))
    for state in (one, other):
        step(state, views, 2)
        state.consider(0.7)
    assert same(one.tensors(), other.tensors())
    assert one.meta() == other.meta()
    one.finish()
    other.finish()
    assert same(weights(one.model), weights(other.model))


def test_tensors_hold_weights_statistics_buffers_and_the_best(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), replace(recipe, select="best_val"), engine)
    step(state, views)
    state.consider(0.5)
    names = set(state.model.state_dict())
    tensors = state.tensors()
    momentum = {f"optimizer/{n}/momentum_buffer" for n in range(len(list(state.model.parameters())))}
    assert set(tensors) == {f"{part}/{name}" for part in ("model", "best") for name in names} | momentum
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in tensors.values())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_tensors_are_copies(optimizer: str, views: Any, build: Build, recipe: Recipe, engine: Engine) -> None:
    state = TrainingState(build(), replace(recipe, optimizer=optimizer), engine)
    step(state, views)
    held = state.tensors()
    before = {name: tensor.clone() for name, tensor in held.items()}
    step(state, views)
    assert same(held, before)


def test_restored_buffers_lie_in_memory_as_their_weights_do(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    one, other = (TrainingState(build(), recipe, engine) for _ in range(2))
    step(one, views)
    other.restore(one.tensors(), one.meta())
    first = next(other.model.parameters())
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert other.optimizer.state[first]["momentum_buffer"].stride() == first.stride()


def test_a_loss_scale_comes_back(build: Build, recipe: Recipe, engine: Engine) -> None:
    one, other = (TrainingState(build(), recipe, engine) for _ in range(2))
    one.scaler, other.scaler = (torch.amp.GradScaler("cpu", init_scale=scale) for scale in (8.0, 2.0))
    other.restore(one.tensors(), json.loads(json.dumps(one.meta())))
    assert other.scaler.get_scale() == 8.0
