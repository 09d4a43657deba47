"""TrivialAugment: one of fourteen operations per image, at one of thirty-one strengths."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data.image_operations import LEVELS, OPERATIONS, Strengths, applied
from pdsearch.data.registry import augmentations

WIDE = Strengths(shear=0.99, shift=32.0, turn=135.0, blend=0.99, bits=6)


@dataclass(frozen=True)
class TrivialAugment:
    """One operation per image, drawn with its strength and sign; the wide ranges of the paper.

    Shifts go up to 32 pixels whatever the size, as in the paper: meant for images of 32x32 and larger.

    Source:
        Mueller, Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", ICCV 2021, arXiv
        2103.10158, table 1 (TA Wide), with the operations of torchvision's TrivialAugmentWide.
    """

    constant: ClassVar[bool] = False

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:  # noqa: ARG002 - protocol
        """Return one row per image: operation, level, sign (0 for plus); int64 (N, 3)."""
        ends = (len(OPERATIONS), LEVELS, 2)
        return torch.cat([torch.randint(0, end, (images, 1), generator=generator) for end in ends], dim=1)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images uint8 (B, C, H, W) for the draws (B, 3) of the same images."""
        return applied(images, draws[:, 0], draws[:, 1], draws[:, 2], WIDE)


augmentations.add("trivial_augment")(TrivialAugment())
