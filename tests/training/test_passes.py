"""A batch's gradients are those of its mean loss, whole or in parts, and its losses are summed up."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pdsearch.specs import Recipe
from pdsearch.training import Engine
from pdsearch.training.fit import Passes
from pdsearch.training.state import TrainingState
from tests.training.objectives import hard_labels


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_gradients_and_total(views: Any, build: Callable[..., nn.Module], recipe: Recipe, parts: int) -> None:
    engine, index = Engine(threads=1, parts=parts), torch.arange(10)
    model = build().eval()  # Batch statistics would be those of a part.
    objective, images = hard_labels(views.labels), views.batch(0, index)
    expected = objective(model, images, index, 0)
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    state, total = TrainingState(model, recipe, engine), torch.ones((), dtype=torch.float64)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 7.0)  # Of a step before.
    Passes(state, objective, engine).run(images, index, 0, total)
    for weight, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(weight.grad, gradient)
    assert total.item() == pytest.approx(1 + 10 * expected.item())


@pytest.mark.parametrize(
    ("images", "sizes"), [(1, [1]), (2, [2]), (3, [3]), (5, [2, 3]), (9, [3, 3, 3]), (10, [3, 3, 4])]
)
def test_no_image_is_left_alone_with_batch_normalisation(
    images: int, sizes: list[int], views: Any, build: Callable[..., nn.Module], recipe: Recipe
) -> None:
    engine, index, seen = Engine(threads=1, parts=4), torch.arange(images), []

    def objective(model: nn.Module, shown: torch.Tensor, index: torch.Tensor, _epoch: int) -> torch.Tensor:
        seen.append(len(index))
        assert torch.equal(shown, views.batch(0, index))
        answers: torch.Tensor = model(shown)
        return answers.square().mean()

    passes = Passes(TrainingState(build(), recipe, engine), objective, engine)
    passes.run(views.batch(0, index), index, 0, torch.zeros((), dtype=torch.float64))
    assert seen == sizes
