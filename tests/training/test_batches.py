from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import Engine
from pdsearch.training.batches import batches, order, seen
from pdsearch.training.fit import Passes
from pdsearch.training.state import TrainingState
from tests.training.objectives import hard_labels


class Asked:
    """Notes how many images are asked for at once."""

    def __init__(self, views: Any) -> None:
        self.views, self.sizes = views, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return len(self.views)

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        self.sizes.append(len(index))
        return self.views.batch(epoch, index)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("at_once", "sizes"),
    [(0, [16, 16, 16, 2]), (31, [16, 16, 16, 2]), (32, [16, 32, 2]), (1000, [16, 34])],
)
def test_views_are_made_as_many_at_once_as_the_engine_says(
    views: Any, at_once: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, asked = Engine(threads=1), Asked(views)
    monkeypatch.setattr(Engine, "ahead_bytes", at_once * 3 * 8 * 8 * 4)
    steps = list(torch.randperm(50).split(16))
    found = list(seen(asked, 3, steps, engine))
    assert asked.sizes == sizes
    for (images, index), step in zip(found, steps, strict=True):
        assert torch.equal(index, step)
        assert torch.equal(images, views.batch(3, step))
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_only_a_gpu_is_ahead() -> None:
    assert Engine().ahead_bytes == 0
    assert Engine(device="cuda").ahead_bytes > 0


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (16, [16]), (17, [17]), (18, [16, 2]), (33, [16, 17]), (48, [16] * 3)]
)
def test_every_image_comes_once_and_none_alone(count: int, sizes: list[int]) -> None:
    found = batches(order(3, 0, count), 16)
    assert [len(batch) for batch in found] == sizes
    assert sorted(torch.cat(found).tolist()) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, second, again = (order(3, epoch, 50).tolist() for epoch in (0, 1, 0))
    assert first == again != second
    assert order(4, 0, 50).tolist() != first


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
