"""The training loop: what it reports, what it minimises, and that it goes on to the same bits."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import cross_entropy, one_hot

from pdsearch.errors import ConfigError, TrialError
from pdsearch.specs import Recipe, derive_seed
from pdsearch.training.checkpoint import EpochReport
from pdsearch.training.device import Engine
from pdsearch.training.fit import fit, towards
from pdsearch.training.optim import learning_rate
from tests.training.objectives import hard_labels

Build = Callable[..., nn.Module]


def run(
    model: nn.Module, views: Any, recipe: Recipe, engine: Engine, each: Any = lambda: None, **more: Any
) -> list[EpochReport]:
    """Train; `each` is called at each report."""
    settings = {"objective": hard_labels(views.labels), "seed": 3, "evaluate": lambda _: 0.5, **more}
    return [
        (report, each())[0] for report in fit(model, views=views, recipe=recipe, engine=engine, **settings)
    ]


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


def slow(model: nn.Module, views: Any, recipe: Recipe, seed: int) -> list[float]:
    """Train as a textbook would: no fused optimizer, no memory format, a loss asked for at each step."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }
    settings = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        settings |= {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
    optimizer = kinds.get(recipe.optimizer, torch.optim.SGD)(model.parameters(), **settings)
    losses = []
    for epoch in range(recipe.epochs):
        order = torch.randperm(
            len(views), generator=torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
        )
        batches = order.split(recipe.batch_size)
        total = 0.0
        for step, index in enumerate(batches):
            optimizer.param_groups[0]["lr"] = learning_rate(recipe, epoch, step, len(batches))
            loss = functional.cross_entropy(model(views.batch(epoch, index)), views.labels[index])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.item() * len(index)
        losses.append(total / len(views))
    return losses


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_fit_agrees_with_a_plain_loop(
    optimizer: str, views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    chosen = replace(recipe, optimizer=optimizer, nesterov=optimizer == "sgd", lr=0.01)
    fast, plain = build(), build()
    losses = [report.loss for report in run(fast, views, chosen, engine)]
    assert losses == pytest.approx(slow(plain, views, chosen, 3), rel=1e-4)
    for one, other in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_reports_count_epochs_and_carry_the_rate(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    reports = run(build(), views, recipe, engine)
    assert [(report.epoch, report.epochs) for report in reports] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [report.lr for report in reports] == pytest.approx([0.05, 0.05, 0.005, 0.005])
    assert all(report.val_accuracy == 0.5 and report.seconds > 0 for report in reports)


def test_same_seed_same_bits(views: Any, build: Build, recipe: Recipe, engine: Engine) -> None:
    one, other, different = build(dropout=0.5), build(dropout=0.5), build(dropout=0.5)
    run(one, views, recipe, engine)
    torch.rand(7)
    before, states = torch.random.get_rng_state(), list[Tensor]()
    run(other, views, recipe, engine, each=lambda: states.append(torch.random.get_rng_state()))
    assert len(states) == recipe.epochs
    assert all(torch.equal(state, before) for state in states), (
        "whoever consumes reports has torch's own state"
    )
    run(different, views, recipe, engine, seed=4)
    assert same(one, other)
    assert not same(one, different)


def test_an_accuracy_that_is_no_number_ends_the_training(
    views: Any, build: Build, recipe: Recipe, engine: Engine
) -> None:
    with pytest.raises(TrialError, match="val_accuracy is not finite"):
        run(build(), views, recipe, engine, evaluate=lambda _: math.nan)


def test_without_validation_images_epochs_report_their_loss_and_the_last_is_handed_on(
    views: Any, build: Build
) -> None:
    recipe, model = Recipe(epochs=2, lr=0.1, batch_size=16), build(1)
    reports = run(model, views, recipe, Engine(), evaluate=lambda _: None)
    assert [report.val_accuracy for report in reports] == [None, None]
    assert all(math.isfinite(report.loss) for report in reports)
    for change, why in (
        ({"select": "best_val"}, "no validation image"),
        ({"optimizer": "sdg"}, "unknown optimizer"),
    ):
        with pytest.raises(ConfigError, match=why):
            run(build(1), views, replace(recipe, **change), Engine(), evaluate=lambda _: None)  # type: ignore[arg-type]
    measured = build(1)
    run(measured, views, recipe, Engine())
    assert same(model, measured)


@pytest.mark.parametrize(("precision", "apart"), [("bf16", 0.05), ("fp16", 0.01)])
def test_sixteen_bits_train_as_single_precision_does_and_leave_single_weights(
    views: Any, build: Build, precision: str, apart: float
) -> None:
    recipe = Recipe(epochs=3, lr=0.05, batch_size=10)
    single, half = build(1), build(1)
    losses = [
        [report.loss for report in run(model, views, recipe, Engine(precision=kind))]
        for model, kind in ((single, "fp32"), (half, precision))
    ]
    assert losses[1] == pytest.approx(losses[0], abs=apart)
    assert losses[1] != losses[0]
    assert {tensor.dtype for tensor in half.parameters()} == {torch.float32}


LABELS = torch.tensor([0, 2, 1, 2])
LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
INDEX = torch.tensor([3, 0])


class Known(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


def test_targets_are_asked_for_by_epoch_and_index() -> None:
    def targets(epoch: int, index: Tensor) -> Tensor:
        return (LABELS[index] + epoch) % 3

    assert towards(targets)(Known(), LOGITS[INDEX], INDEX, 1) == cross_entropy(
        LOGITS[INDEX], (LABELS[INDEX] + 1) % 3
    )


def test_probabilities_are_smoothed_like_labels() -> None:
    hard = one_hot(LABELS, 3).float()
    ours = towards(lambda _, index: hard[index], label_smoothing=0.2)(Known(), LOGITS[INDEX], INDEX, 0)
    torch.testing.assert_close(
        ours, hard_labels(LABELS, label_smoothing=0.2)(Known(), LOGITS[INDEX], INDEX, 0)
    )


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_loss_is_computed_in_full_precision(kind: torch.dtype) -> None:
    low = LOGITS[INDEX].to(kind)
    loss = hard_labels(LABELS)(Known(), low, INDEX, 0)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, hard_labels(LABELS)(Known(), low.float(), INDEX, 0))
