"""A batch's gradients are those of its mean loss, whole or in parts, and its losses are summed up."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pdsearch.specs import Recipe
from pdsearch.training import Engine, hard_labels
from pdsearch.training.passes import Passes
from pdsearch.training.state import TrainingState


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
