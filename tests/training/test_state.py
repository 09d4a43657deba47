"""What a training keeps (weights, optimizer, average, best weights) comes back as it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training.device import Engine
from pdsearch.training.fit import fit
from pdsearch.training.training_state import Average, TrainingState
from tests.training.objectives import hard_labels

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


@pytest.mark.parametrize(("values", "best"), [((0.0, 0.6, 0.6, 0.2), 1), ((0.0,), 0)])
def test_the_first_of_the_highest_values_wins_and_zero_is_better_than_none(
    values: tuple[float, ...], best: int, views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    state = TrainingState(build(), replace(recipe, select="best_val"), engine)
    seen = []
    for value in values:
        step(state, views)
        state.consider(value)
        seen.append(weights(state.model))
    step(state, views)
    state.finish()
    assert same(weights(state.model), seen[best])


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


def test_it_follows_the_formula(build: Build) -> None:
    model, average = build(), Average(0.5)
    expected: dict[str, Tensor] = {}
    for n in range(8):
        for parameter in model.parameters():
            parameter.data += 0.1 * (n + 1)
        decay = min(0.5, (1 + n) / (10 + n))
        present = weights(model)
        expected = {k: decay * expected.get(k, v) + (1 - decay) * v for k, v in present.items()}
        average.add(model)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(average.weights[name], expected[name])
        assert not torch.equal(average.weights[name], parameter)


def test_statistics_are_averaged_and_counts_weights(build: Build) -> None:
    model, average = build(), Average(0.9)
    for count in (1, 2):
        model[1].running_mean.fill_(count)  # type: ignore[index]
        model[1].num_batches_tracked.fill_(count)  # type: ignore[index]
        average.add(model)
    assert 1 < average.weights["1.running_mean"][0] < 2
    assert average.weights["1.num_batches_tracked"] == 2


def test_the_networks_own_weights_come_back(build: Build) -> None:
    model, average = build(), Average(0.9)
    average.add(model)
    model[0].weight.data += 1  # type: ignore[index]
    own = weights(model)
    with pytest.raises(KeyError), average.within(model):  # noqa: PT012 - what is inside the block is the point
        assert torch.equal(model[0].weight, average.weights["0.weight"])  # type: ignore[index]
        raise KeyError
    assert all(torch.equal(own[name], tensor) for name, tensor in model.state_dict().items())


def trained(model: nn.Module, views: Any, recipe: Recipe, **more: Any) -> list[Any]:
    settings = {"evaluate": lambda _: 0.5, "engine": Engine(), **more}
    objective = hard_labels(views.labels)
    return list(fit(model, views=views, objective=objective, recipe=recipe, seed=3, **settings))


def test_the_average_is_measured_and_handed_on(views: Any, build: Build, recipe: Recipe) -> None:
    averaged, plain = build(), build()
    seen: list[Tensor] = []

    def evaluate(model: nn.Module) -> float:
        seen.append(model.get_parameter("5.weight").detach().clone())
        return 0.5

    trained(averaged, views, replace(recipe, ema=0.9), evaluate=evaluate)
    trained(plain, views, recipe)
    assert torch.equal(averaged.get_parameter("5.weight"), seen[-1])
    assert not torch.equal(averaged.get_parameter("5.weight"), plain.get_parameter("5.weight"))


def test_the_best_average_is_handed_on(views: Any, build: Build, recipe: Recipe) -> None:
    values, seen = iter([0.1, 0.9, 0.2, 0.3]), []
    model = build()

    def evaluate(network: nn.Module) -> float:
        seen.append(weights(network))
        return next(values)

    trained(model, views, replace(recipe, ema=0.9, select="best_val"), evaluate=evaluate)
    assert all(torch.equal(seen[1][name], tensor) for name, tensor in model.state_dict().items())
