"""Shuffled order of an epoch's images, its batches, and views computed ahead of their training step."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pdsearch.specs import derive_seed
from pdsearch.training.device import Engine
from pdsearch.training.evaluate import Batches


def order(seed: int, epoch: int, images: int) -> Tensor:
    """Return a random permutation of the image positions for an epoch (from 0), int64 (images,), on the CPU."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(images, generator=generator)


def batches(shown: Tensor, size: int) -> list[Tensor]:
    """Split an order into batches; a last batch of a single image is merged into the one before.

    Batch normalisation cannot compute statistics of a single image.
    """
    found = list(torch.split(shown, size))
    if len(found) > 1 and len(found[-1]) == 1:
        found[-2:] = [torch.cat(found[-2:])]
    return found


def seen(
    views: Batches, epoch: int, steps: Sequence[Tensor], engine: Engine
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of each training step, float32 (B, C, H, W) on the device, and their positions, int64 (B,).

    Args:
        views: Source of the images; the view of an image does not depend on the rest of its batch.
        epoch: From 0.
        steps: Positions of the images of each step.
        engine: Target device, and how many bytes of views to compute at once.
    """
    left, count = list(steps), 1
    while left:
        now, left = left[:count], left[count:]
        images = engine.images(views.batch(epoch, now[0] if len(now) == 1 else torch.cat(now)))
        yield from zip(images.split([len(index) for index in now]), now, strict=True)
        count = max(1, engine.ahead_bytes // (images.nbytes // len(now)))
