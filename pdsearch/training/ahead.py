"""How are a step's images at hand when it begins? Views of several steps are made at once where that is faster."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pdsearch.training.engine import Engine
from pdsearch.training.evaluate import Batches

__all__ = ["seen"]


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
