"""The order of images in an epoch, its batches, and views made ahead of their step."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pdsearch.specs import derive_seed
from pdsearch.training.device import Engine
from pdsearch.training.evaluate import Batches

__all__ = [
    "batches",
    "order",
    "seen",
]


def order(seed: int, epoch: int, images: int) -> Tensor:
    """Return the positions of so many images in the order of an epoch (from 0), int64 (images,), on the CPU."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(images, generator=generator)


def batches(shown: Tensor, size: int) -> list[Tensor]:
    """Return an order cut into batches; a last one of a single image joins the one before.

    Batch normalisation has no statistics of a single image.
    """
    found = list(torch.split(shown, size))
    if len(found) > 1 and len(found[-1]) == 1:
        found[-2:] = [torch.cat(found[-2:])]
    return found


def seen(
    views: Batches, epoch: int, steps: Sequence[Tensor], engine: Engine
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each step's images, float32 (B, C, H, W) on the device, with their positions, int64 (B,).

    Args:
        views: An image's view does not depend on those it is asked for with.
        epoch: From 0.
        steps: Positions of each step's images.
        engine: Where they are wanted, and how many bytes are made at once.
    """
    left, count = list(steps), 1
    while left:
        now, left = left[:count], left[count:]
        images = engine.images(views.batch(epoch, now[0] if len(now) == 1 else torch.cat(now)))
        yield from zip(images.split([len(index) for index in now]), now, strict=True)
        count = max(1, engine.ahead_bytes // (images.nbytes // len(now)))
