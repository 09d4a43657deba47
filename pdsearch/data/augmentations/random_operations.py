"""Random operations: RandAugment, two an image at one strength; TrivialAugment, one an image at a random strength."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data.image_operations import LEVELS, OPERATIONS, Strengths, applied
from pdsearch.data.registry import augmentations
from pdsearch.registry import parameter

TIMES = 2
WIDE = Strengths(shear=0.99, shift=32.0, turn=135.0, blend=0.99, bits=6)
STRENGTHS = Strengths(shear=0.3, shift=150 / 331, turn=30.0, blend=0.9, bits=4)


@dataclass(frozen=True)
class RandAugment:
    """Two operations per image, drawn with their signs; the number is their one strength, of 0 to 30.

    Source:
        Cubuk, Zoph, Shlens, Le, "RandAugment: practical automated data augmentation with a reduced search space",
        NeurIPS 2020, arXiv 1909.13719, figure 2, with the operations and strengths of torchvision's RandAugment.
    """

    magnitude: int = parameter(9, help="strength of all operations", low=0, high=LEVELS - 1)
    constant: ClassVar[bool] = False

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:  # noqa: ARG002 - protocol
        """Return one row per image: operation and sign (0 for plus), twice; int64 (N, 4)."""
        ends = (len(OPERATIONS), 2) * TIMES
        return torch.cat([torch.randint(0, end, (images, 1), generator=generator) for end in ends], dim=1)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images uint8 (B, C, H, H) for the draws (B, 4) of the same images."""
        levels = torch.full_like(draws[:, 0], int(self.magnitude))
        for operations, signs in ((draws[:, 2 * n], draws[:, 2 * n + 1]) for n in range(TIMES)):
            images = applied(images, operations, levels, signs, STRENGTHS)
        return images


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


augmentations.add("rand_augment")(RandAugment())
augmentations.add("trivial_augment")(TrivialAugment())
