"""Checks of a network with a few synthetic images: its outputs, and the first step of its training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.data import Dataset
from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.models import listed, not_finite, state_of
from pdsearch.specs import Recipe
from pdsearch.training import batches

__all__ = ["IMAGES", "check_answers", "check_step", "images", "labels", "smallest", "told", "training"]

IMAGES = 2


def images(data: Dataset, count: int = IMAGES) -> Tensor:
    """Return synthetic normalised images, or other inputs of the data set's shape."""
    return torch.randn((count, *data.inputs.shape), generator=Generator().manual_seed(0))


def labels(data: Dataset, count: int = IMAGES) -> Tensor:
    """Return labels for them, int64 (count,)."""
    return torch.arange(count) % data.num_classes


def smallest(recipe: Recipe, data: Dataset) -> int:
    """Return the number of images to try a recipe with: one if its epochs contain batches of one, else two."""
    sizes = {len(batch) for batch in batches(torch.arange(len(data.train)), recipe.batch_size)}
    return min(IMAGES, *sizes)


def check_answers(network: nn.Module, data: Dataset, *, name: str, where: str) -> None:
    """Refuse a network with non-finite weights, or whose output is not one logit per class.

    It is run on two images and on one; the logits must be of a floating type and finite.

    Args:
        network: In evaluation mode, on the CPU.
        data: The data set it is for.
        name: Its name in messages.
        where: The field to blame in messages.

    Raises:
        ConfigError: A check fails, or the network raises.
    """
    broken = not_finite(dict(network.named_parameters()))
    if broken:
        hint = "torch.empty leaves what memory held: draw every weight"
        raise ConfigError(
            f"{name} is built with weights that are no numbers: {listed(broken)} not finite",
            where=where,
            hint=hint,
        )
    for count in (IMAGES, 1):
        with told(name, where, on=_shown(count)), torch.no_grad():
            answer = network(images(data, count))
        _check_logits(answer, count, data, name, where)


def check_step(
    network: nn.Module, recipe: Recipe, data: Dataset, *, name: str, where: str, field: str
) -> None:
    """Refuse a network that a recipe cannot train: it has nothing to train, or its smallest batch fails.

    Args:
        network: On the CPU; not modified.
        recipe: How it will be trained.
        data: The data set it is for.
        name: Its name in messages.
        where: The field to blame in messages.
        field: The recipe's name in the space, e.g. "train.teacher".

    Raises:
        ConfigError: It cannot be trained.
    """
    count = smallest(recipe, data)
    if not any(weight.requires_grad for weight in network.parameters()):
        weights = len(list(network.parameters()))
        why = f"all {weights} parameters are frozen" if weights else "it has no parameters"
        hint = "leave requires_grad of what is to be trained as it is"
        raise ConfigError(f"{name} cannot be trained: {why}", where=where, hint=hint)
    alone = f"choose a larger {field}.batch_size: its batches have one image" if count == 1 else None
    on = f"{_shown(count)} in training"
    with training(network):
        with told(name, where, on=on, hint=alone):
            answer = network(images(data, count))
        _check_logits(answer, count, data, name, where, " in training")
        if not answer.requires_grad:
            what = f"{name} cannot be trained: its logits do not depend on a parameter that is not frozen"
            raise ConfigError(what, where=where, hint="compute them undetached")
        with told(name, where, on=on, hint=alone):
            torch.autograd.backward(functional.cross_entropy(answer.float(), labels(data, count)))


@contextmanager
def training(network: nn.Module) -> Iterator[None]:
    """Run a block with a network in training mode; its state and torch's random state are restored afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    held = [(tensor, tensor.detach().clone()) for tensor in state_of(network).values()]
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            network.train()
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for tensor, before in held:
                tensor.copy_(before)
        for weight in network.parameters():
            weight.grad = None


@contextmanager
def told(name: str, where: str, *, on: str = "two images", hint: str | None = None) -> Iterator[None]:
    """Convert any error of a network or a loss to one message that names it."""
    try:
        yield
    except PdsearchError as error:
        place = error.where or where
        if place.startswith("options."):  # A network does not know whose options they are.
            place = f"{where.partition('.')[0]}.{place}"
        raise ConfigError(error.what, where=place, hint=error.hint) from error
    # User code may raise anything, and torch does so for images that are too small.
    except Exception as error:
        reason = str(error).strip().splitlines()
        what = f"{name} fails on {on}: {type(error).__name__}: {reason[0] if reason else 'no reason given'}"
        hint = hint or "nothing was trained; mend it, or choose another"
        raise ConfigError(what, where=where, hint=hint) from error


def _shown(count: int) -> str:
    return {1: "one image", 2: "two images"}[count]


def _check_logits(answer: Any, count: int, data: Dataset, name: str, where: str, when: str = "") -> None:
    wanted, shown = (count, data.num_classes), f"{count} image{'' if count == 1 else 's'}{when}"
    if not isinstance(answer, Tensor) or tuple(answer.shape) != wanted:
        found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        what = f"{name} answers {shown} with {found}, not with logits {wanted}"
        raise ConfigError(what, where=where, hint="return one number for each class, without softmax")
    if not answer.is_floating_point():
        what = f"{name} answers {shown} with {answer.dtype}, not with floating-point logits"
        raise ConfigError(what, where=where, hint="return one number for each class, without softmax")
    if not bool(answer.isfinite().all()):
        what = f"{name} answers {shown} with logits that are not finite"
        raise ConfigError(what, where=where, hint="look for a division by zero, or a logarithm of it")
