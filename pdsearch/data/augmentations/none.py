"""No augmentation: the images themselves, the same in every epoch."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data.registry import augmentations


@dataclass(frozen=True)
class Unchanged:
    """Images as they are; every epoch shows the same.

    Source:
        No augmentation.
    """

    constant: ClassVar[bool] = True
    applies_to: ClassVar[str] = "any"

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:  # noqa: ARG002 - draws nothing
        """Return an empty table of draws, (N, 0)."""
        return torch.empty((images, 0), dtype=torch.int64)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:  # noqa: ARG002 - nothing was drawn
        """Return the images."""
        return images


augmentations.add("none")(Unchanged())
