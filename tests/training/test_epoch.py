"""An epoch: its order and batches, its steps, and what goes on after an interruption within it."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.errors import TrialError
from pdsearch.specs import Recipe
from pdsearch.training.device import Engine
from pdsearch.training.fit import EpochRunner, batches, masked_weights, order, seen
from pdsearch.training.training_state import TrainingState
from tests.training.objectives import hard_labels

Build = Callable[..., nn.Module]
Make = Callable[..., EpochRunner]


@pytest.fixture
def made(views: Any, build: Build, engine: Engine) -> Make:
    def make(recipe: Recipe, **more: Any) -> EpochRunner:
        shown = more.pop("views", views)
        settings = {"objective": hard_labels(shown.labels), "evaluate": lambda _: 0.5, "masked": (), **more}
        state = TrainingState(build(), recipe, engine)
        return EpochRunner(state=state, views=shown, recipe=recipe, seed=3, engine=engine, **settings)

    return make


def constant(losses: list[float], seen: list[list[int]]) -> Callable[..., Tensor]:
    """An objective of given values, that moves no weight, and notes its batches."""
    values = iter(losses)

    def objective(model: nn.Module, images: Tensor, index: Tensor, _: int) -> Tensor:
        seen.append(index.tolist())
        logits: Tensor = model(images)
        return 0 * logits.sum() + next(values)

    return objective


def test_the_loss_is_the_mean_over_images_not_over_batches(
    make: Callable[[int], Any], made: Make, recipe: Recipe
) -> None:
    seen: list[list[int]] = []
    epochs = made(recipe, views=make(20), objective=constant([1.0, 6.0], seen))
    assert epochs.run(0).loss == (16 * 1.0 + 4 * 6.0) / 20
    assert [len(index) for index in seen] == [16, 4]


def test_the_network_trains_in_training_mode_and_is_measured_after_its_last_step(
    made: Make, recipe: Recipe
) -> None:
    modes: list[bool] = []
    measured: list[Tensor] = []

    def objective(model: nn.Module, images: Tensor, *_: Any) -> Tensor:
        modes.append(model.training)
        return functional.mse_loss(model(images), torch.zeros(len(images), 2))

    def evaluate(model: nn.Module) -> float:
        measured.append(next(model.parameters()).detach().clone())
        return 0.25

    epochs = made(recipe, objective=objective, evaluate=evaluate)
    epochs.state.model.eval()
    assert epochs.run(0).val_accuracy == 0.25
    assert modes == [True] * 4
    assert torch.equal(measured[0], next(epochs.state.model.parameters()))


def test_an_epoch_has_its_own_views_and_draws(views: Any, made: Make, recipe: Recipe) -> None:
    drawn: list[float] = []

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        assert torch.equal(images, views.batch(len(drawn), index))
        assert epoch == len(drawn)
        drawn.append(torch.rand(()).item())
        return functional.mse_loss(model(images), torch.zeros(len(images), 2))

    epochs = made(replace(recipe, batch_size=50), objective=objective)
    state = torch.random.get_rng_state()
    for number in range(3):
        epochs.run(number)
    assert len(set(drawn)) == 3
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_that_diverged_is_not_measured(made: Make, recipe: Recipe) -> None:
    def evaluate(_: nn.Module) -> float:
        raise AssertionError("measured")

    found = []
    for objective in (
        lambda model, images, *_: model(images).sum() * math.nan,
        lambda model, images, *_: model(images).sum() + math.inf,
        lambda model, images, *_: model(images * 1e30).sum() * 0.0,
    ):
        with pytest.raises(TrialError) as caught:
            made(recipe, objective=objective, evaluate=evaluate).run(2)
        assert caught.value.hint
        found.append(caught.value.what.removeprefix("diverged in epoch 3 of 4: "))
    assert found == [
        "the loss, 0.weight, 1.weight and 5 more are not finite",
        "the loss is not finite",
        "1.running_var is not finite",
    ]


def test_a_scaled_step_is_the_step_without_scale(made: Make, recipe: Recipe) -> None:
    plain, scaled = made(recipe), made(recipe)
    scaled.state.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert plain.run(0).loss == pytest.approx(scaled.run(0).loss)
    for one, other in zip(plain.state.model.parameters(), scaled.state.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_step_that_overflows_is_left_out_and_the_scale_halved(made: Make, recipe: Recipe) -> None:
    infinite = made(
        replace(recipe, batch_size=50), objective=lambda model, images, *_: model(images).sum() * 1e30
    )
    infinite.state.scaler = torch.amp.GradScaler("cpu", init_scale=1e30)
    before = [parameter.detach().clone() for parameter in infinite.state.model.parameters()]
    infinite.run(0)
    assert all(map(torch.equal, before, infinite.state.model.parameters()))
    assert infinite.state.scaler.get_scale() == pytest.approx(5e29)


def test_masked_weights_are_zero_and_the_others_as_they_were(build: Build) -> None:
    model = build()
    before = model.get_parameter("5.weight").detach().clone()
    keep = torch.arange(512).reshape(2, 256) % 3 > 0
    ((parameter, kept),) = masked_weights(model, {"5.weight": keep})
    assert parameter is model.get_parameter("5.weight")
    assert torch.equal(parameter, before * keep)
    assert (kept.dtype, kept.requires_grad) == (torch.float32, False)
    assert torch.equal(kept, keep.float())


def test_masks_of_zeros_and_ones_count_as_well_and_weights_that_are_no_number_become_zero(
    build: Build,
) -> None:
    model = build()
    with torch.no_grad():
        model.get_parameter("1.weight")[0] = float("nan")
    masked_weights(model, {"1.weight": torch.tensor([0.0, 1.0, 1.0, 0.0])})
    assert model.get_parameter("1.weight").tolist() == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["0.bias", "1.running_mean", "1.weight"])
def test_a_mask_has_to_be_a_parameter_s_own(name: str, build: Build) -> None:
    with pytest.raises(TrialError, match=f"the mask of '{name}' does not fit the network"):
        masked_weights(build(), {name: torch.ones(3)})


def test_a_masked_weight_that_is_not_trained_is_left_alone(made: Make, recipe: Recipe) -> None:
    epochs = made(recipe)
    weight = epochs.state.model.get_parameter("5.weight")
    masked = masked_weights(epochs.state.model, {"5.weight": torch.eye(2, 256)})
    weight.requires_grad_(False)
    replace(epochs, masked=masked).run(0)
    assert torch.count_nonzero(weight) == 2


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
    engine, asked = Engine(), Asked(views)
    monkeypatch.setattr(Engine, "ahead_bytes", at_once * 3 * 8 * 8 * 4)
    steps = list(torch.randperm(50).split(16))
    found = list(seen(asked, 3, steps, engine))
    assert asked.sizes == sizes
    for (images, index), step in zip(found, steps, strict=True):
        assert torch.equal(index, step)
        assert torch.equal(images, views.batch(3, step))
        assert images.is_contiguous(memory_format=torch.channels_last)


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
def test_gradients_and_total(views: Any, made: Make, recipe: Recipe, parts: int) -> None:
    epochs, index, total = made(recipe), torch.arange(10), torch.ones((), dtype=torch.float64)
    model, images = (
        epochs.state.model.eval(),
        views.batch(0, index),
    )  # Batch statistics would be those of a part.
    expected = epochs.objective(model, images, index, 0)
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, 7.0)  # Of a step before.
    replace(epochs, engine=Engine(parts=parts)).passes(images, index, 0, total)
    for weight, gradient in zip(model.parameters(), gradients, strict=True):
        torch.testing.assert_close(weight.grad, gradient)
    assert total.item() == pytest.approx(1 + 10 * expected.item())


@pytest.mark.parametrize(
    ("images", "sizes"), [(1, [1]), (2, [2]), (3, [3]), (5, [2, 3]), (9, [3, 3, 3]), (10, [3, 3, 4])]
)
def test_no_image_is_left_alone_with_batch_normalisation(
    images: int, sizes: list[int], views: Any, made: Make, recipe: Recipe
) -> None:
    index, seen = torch.arange(images), []

    def objective(model: nn.Module, shown: torch.Tensor, index: torch.Tensor, _epoch: int) -> torch.Tensor:
        seen.append(len(index))
        assert torch.equal(shown, views.batch(0, index))
        answers: torch.Tensor = model(shown)
        return answers.square().mean()

    epochs = replace(made(recipe, objective=objective), engine=Engine(parts=4))
    epochs.passes(views.batch(0, index), index, 0, torch.zeros((), dtype=torch.float64))
    assert seen == sizes
