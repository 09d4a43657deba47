"""Accuracy counts right answers, in evaluation mode, and leaves the network as it was."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError, TrialError
from pdsearch.training import Engine, evaluating, logits, right


def test_right_answers_are_those_of_the_largest_logit(
    views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build().eval()
    answers = model(views.batch(0, torch.arange(50))).argmax(1)
    assert right(model, views, answers, engine=engine).all()
    answers[:5] = 1 - answers[:5]
    assert right(model, views, answers, engine=engine, batch_size=7).tolist() == [False] * 5 + [True] * 45


def test_batches_do_not_matter(views: Any, build: Callable[..., nn.Module], engine: Engine) -> None:
    model = build()
    one, other = (logits(model, views, engine=engine, batch_size=size) for size in (50, 9))
    torch.testing.assert_close(one, other)
    assert not one.requires_grad


def test_logits_show_the_epochs_views(views: Any, build: Callable[..., nn.Module], engine: Engine) -> None:
    model = build()
    assert not torch.equal(logits(model, views, engine=engine), logits(model, views, engine=engine, epoch=5))


def test_modes_and_statistics_are_left_as_they_were(
    views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build()
    model[1].eval()  # type: ignore[index]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    right(model, views, views.labels, engine=engine)
    assert [module.training for module in model.children()] == [True, False, True, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_logits_that_are_no_numbers_have_no_right(
    value: float, views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build()
    model.register_forward_hook(lambda _module, _images, found: found.index_fill(0, torch.tensor([3]), value))
    with pytest.raises(TrialError, match=r"^the logits of 3 of 50 test images are not finite$"):
        right(model, views, views.labels, engine=engine, batch_size=20, kind="test")


def test_no_images_is_an_error(views: Any, build: Callable[..., nn.Module], engine: Engine) -> None:
    empty = type(views)(views.images[:0], views.labels[:0])
    with pytest.raises(ConfigError, match="val_fraction"):
        right(build(), empty, empty.labels, engine=engine)
