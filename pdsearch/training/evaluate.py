"""Logits and accuracy of a network."""

from typing import Protocol

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError, TrialError
from pdsearch.models import evaluating
from pdsearch.training.device import Engine, reproducible


class Batches(Protocol):
    """Protocol for images by epoch and index, such as `pdsearch.data.dataset.views.Views`."""

    def __len__(self) -> int:
        """Return the number of images."""

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        """Return the indexed images as seen in an epoch (from 0): float32 (B, C, H, W)."""


def logits(
    model: nn.Module, views: Batches, *, engine: Engine, epoch: int = 0, batch_size: int = 1000
) -> Tensor:
    """Return a network's logits for all images in order, (N, classes), on the engine's device.

    What a network draws in evaluation, such as dropout that stays on, is the same each time.
    """
    parts = []
    with reproducible(0, device=engine.device), evaluating(model), engine.autocast():
        for index in torch.split(torch.arange(len(views), device=engine.device), batch_size):
            parts.append(model(engine.images(views.batch(epoch, index))))
    return torch.cat(parts)


def right(
    model: nn.Module,
    views: Batches,
    labels: Tensor,
    *,
    engine: Engine,
    batch_size: int = 1000,
    kind: str = "",
) -> Tensor:
    """Return of each image whether its largest logit is its label's: bool (N,), on the engine's device.

    Args:
        model: The network, on the engine's device.
        views: The images, unaugmented.
        labels: int64 (N,).
        engine: Device and precision.
        batch_size: Images at once.
        kind: Name of the images in messages, e.g. "validation".

    Raises:
        ConfigError: There are no images.
        TrialError: A logit is not finite, so that the largest one is meaningless.
    """
    if len(views) == 0:
        raise ConfigError("no image to measure accuracy on", where="data.val_fraction", hint="make it larger")
    answers = logits(model, views, engine=engine, batch_size=batch_size)
    check_finite(answers, kind)
    return answers.argmax(dim=1) == labels.to(answers.device)


def check_finite(answers: Tensor, kind: str) -> None:
    """Raise if any of the logits, (N, classes), is not finite.

    Raises:
        TrialError: A logit is not finite.
    """
    finite, images = int(answers.isfinite().all(dim=1).sum()), len(answers)
    if finite < images:
        raise TrialError(
            f"the logits of {images - finite} of {images}{kind and f' {kind}'} images are not finite"
        )
