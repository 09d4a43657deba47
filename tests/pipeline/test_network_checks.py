"""A network is asked for logits, and trained for a step, before anything begins."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.network_checks import (
    check_logits_shape,
    check_step,
    check_weights,
    few_of,
    restored,
    sizes,
)
from tests.pipeline.digits import DENSE, RECIPE, data

PAIRS, SINGLE = (replace(RECIPE, batch_size=size) for size in (2, 1))


class Changed(nn.Module):
    """A network of two layers whose logits are changed on the way out.

    Args:
        change: Of the logits.
        training: In training only, or in use only; None always.
    """

    def __init__(
        self, change: Callable[[Tensor], object] = lambda logits: logits, training: bool | None = None
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.last, self._change, self._when = nn.Linear(4, 10), change, training

    def forward(self, images: Tensor) -> object:
        logits = self.last(self.body(images))
        return logits if self._when not in (None, self.training) else self._change(logits)


def refused(network: nn.Module, here: WorkerContext) -> str:
    """What is said of a network that cannot be trained."""
    with pytest.raises(ConfigError) as caught:
        tried(network, here)
    assert caught.value.hint
    assert caught.value.where == "student.model"
    return caught.value.what


def tried(network: nn.Module, here: WorkerContext) -> None:
    images = few_of(data(DENSE, here))
    check_weights(network.eval(), name="own", where="student.model", trained=True)
    check_logits_shape(network, images, name="own", where="student.model")
    with restored(network):
        check_step(network, PAIRS, images, name="own", where="student.model", field="train.distill")


@pytest.mark.parametrize(
    ("change", "training", "message"),
    [
        (lambda logits: (logits, logits), None, "own answers 2 images with tuple, not with logits (2, 10)"),
        (
            lambda logits: (logits, logits),
            True,
            "own answers 2 images in training with tuple, not with logits (2, 10)",
        ),
        (torch.squeeze, None, "own answers 1 image with (10,), not with logits (1, 10)"),
        (
            lambda logits: logits.repeat(1, 2),
            None,
            "own answers 2 images with (2, 20), not with logits (2, 10)",
        ),
        (
            lambda logits: logits.long(),
            None,
            "own answers 2 images with torch.int64, not with floating-point logits",
        ),
        (lambda logits: logits / 0, False, "own answers 2 images with logits that are not finite"),
        (
            lambda logits: logits + torch.inf,
            True,
            "own answers 2 images in training with logits that are not finite",
        ),
        (
            torch.Tensor.detach,
            True,
            "own cannot be trained: its logits do not depend on a parameter that is not frozen",
        ),
        (lambda _: 1 / 0, True, "own fails on two images in training: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_answer_is_one_message(
    here: WorkerContext, change: Callable[[Tensor], object], training: bool | None, message: str
) -> None:
    assert refused(Changed(change, training), here) == message


def test_a_network_of_which_nothing_is_trained_is_refused(here: WorkerContext) -> None:
    assert (
        refused(Changed().requires_grad_(False), here) == "own cannot be trained: all 6 parameters are frozen"
    )
    nothing = nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))
    assert refused(nothing, here) == "own cannot be trained: it has no parameters"


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.full((3,), torch.nan), "own is built with weights that are no numbers: never is not finite"),
        (torch.empty(3, device="meta"), "own: never is built without values (device meta)"),
        (torch.eye(3).to_sparse(), "own: never is sparse, and cannot be stored"),
        (torch.ones(3, dtype=torch.cfloat), "own: never is complex, and no optimizer here trains it"),
    ],
)
def test_a_weight_that_cannot_be_trained_or_stored_is_refused(
    here: WorkerContext, weight: Tensor, message: str
) -> None:
    network = Changed()
    network.never = nn.Parameter(weight)
    assert refused(network, here) == message


def test_a_healthy_network_is_let_through_and_left_as_it_was(here: WorkerContext) -> None:
    network, random = Changed(torch.Tensor.double), torch.get_rng_state()
    network.last.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tried(network, here)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())
    assert not any(module.training for module in network.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_batch_of_one_image_is_tried_where_a_recipe_has_one(here: WorkerContext) -> None:
    images = data(DENSE, here)
    assert [sizes(replace(RECIPE, batch_size=size), images) for size in (1, 2, 79, 80)] == [
        {1, 2},
        {2},
        {80},
        {80},
    ]
    message = r"^student\.model: own fails on one image in training: ValueError: Expected more than 1 value per channel"
    with pytest.raises(ConfigError, match=message) as caught:
        check_step(
            Changed(), SINGLE, few_of(images), name="own", where="student.model", field="train.distill"
        )
    assert caught.value.hint == "choose a larger train.distill.batch_size: its batches have one image"
