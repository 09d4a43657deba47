"""In which order does an epoch show its images, and in which batches?"""

import torch
from torch import Tensor

from pdsearch.specs import derive_seed

__all__ = ["batches", "order"]


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
