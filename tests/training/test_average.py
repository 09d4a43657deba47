"""The average follows its formula, keeps zeros, and lends itself to a network without changing it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import Checkpoint, Engine, fit
from pdsearch.training.state import Average
from tests.training.objectives import hard_labels

Build = Callable[..., nn.Module]


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_it_follows_the_formula(build: Build) -> None:
    model, average = build(), Average(0.5)
    expected: dict[str, Tensor] = {}
    for n in range(8):
        for parameter in model.parameters():
            parameter.data += 0.1 * (n + 1)
        decay = min(0.5, (1 + n) / (10 + n))
        present = copied(model)
        expected = {k: decay * expected.get(k, v) + (1 - decay) * v for k, v in present.items()}
        average.add(model)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(average.weights[name], expected[name])
        assert not torch.equal(average.weights[name], parameter)


def test_statistics_are_averaged_and_counts_copied(build: Build) -> None:
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
    own = copied(model)
    with pytest.raises(KeyError), average.within(model):  # noqa: PT012 - what is inside the block is the point
        assert torch.equal(model[0].weight, average.weights["0.weight"])  # type: ignore[index]
        raise KeyError
    assert all(torch.equal(own[name], tensor) for name, tensor in model.state_dict().items())


def trained(model: nn.Module, views: Any, recipe: Recipe, **more: Any) -> list[Any]:
    settings = {"evaluate": lambda _: 0.5, "engine": Engine(threads=1), **more}
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


def test_the_average_does_not_change_the_training(views: Any, build: Build, recipe: Recipe) -> None:
    losses = [
        [report.loss for report in trained(build(), views, replace(recipe, ema=ema))] for ema in (0.0, 0.9)
    ]
    assert losses[0] == losses[1]


def test_the_best_average_is_handed_on(views: Any, build: Build, recipe: Recipe) -> None:
    values, seen = iter([0.1, 0.9, 0.2, 0.3]), []
    model = build()

    def evaluate(network: nn.Module) -> float:
        seen.append(copied(network))
        return next(values)

    trained(model, views, replace(recipe, ema=0.9, select="best_val"), evaluate=evaluate)
    assert all(torch.equal(seen[1][name], tensor) for name, tensor in model.state_dict().items())


def test_masked_weights_are_exactly_zero_in_the_average(views: Any, build: Build, recipe: Recipe) -> None:
    model = build()
    keep = torch.rand(model.get_parameter("5.weight").shape) > 0.5
    trained(model, views, replace(recipe, ema=0.9), mask={"5.weight": keep})
    assert torch.count_nonzero(model.get_parameter("5.weight")[~keep]) == 0


def test_a_resumed_average_is_the_same_to_the_bit(
    views: Any, build: Build, recipe: Recipe, tmp_path: Path
) -> None:
    chosen = replace(recipe, ema=0.9)
    whole, cut, resumed = build(), build(), build()
    trained(whole, views, chosen)
    begun = fit(
        cut,
        views=views,
        objective=hard_labels(views.labels),
        recipe=chosen,
        seed=3,
        evaluate=lambda _: 0.5,
        engine=Engine(threads=1),
        checkpoint=Checkpoint(tmp_path),
    )
    next(begun), next(begun)
    begun.close()
    trained(resumed, views, chosen, checkpoint=Checkpoint(tmp_path))
    assert all(
        torch.equal(one, other)
        for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
