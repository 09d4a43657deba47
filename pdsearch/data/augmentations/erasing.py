"""Random erasing: a rectangle of some images becomes the mean colour."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data.image_operations import random_boxes
from pdsearch.data.registry import augmentations
from pdsearch.registry import parameter

SHARES = (0.02, 0.33)
RATIOS = (0.3, 3.3)
"""Smallest and largest ratio of a rectangle's height to its width."""


@dataclass(frozen=True)
class RandomErasing:
    """Set a random rectangle to 0 after normalisation, the mean of the set; the number is the share of images.

    Source:
        Zhong, Zheng, Kang, Li, Yang, "Random erasing data augmentation", AAAI 2020, arXiv 1708.04896, algorithm 1,
        with the area, the ratio of sides and the ten tries of torchvision's RandomErasing.
    """

    probability: float = parameter(0.1, help="share of the images that are erased", low=0.0, high=1.0)
    constant: ClassVar[bool] = False
    after_normalising: ClassVar[bool] = True
    applies_to: ClassVar[str] = "square maps"

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:
        """Return one row per image: top, left, height and width of the rectangle, 0 for none; int64 (N, 4)."""
        erased = torch.rand(images, generator=generator, dtype=torch.float64) < self.probability
        boxes = random_boxes(images, size, generator, shares=SHARES, ratios=RATIOS, whole=False)
        return boxes * erased[:, None]

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images (B, C, H, H) for the draws (B, 4) of the same images."""
        top, left, height, width = (draws[:, column, None] for column in range(4))
        along = torch.arange(images.shape[-1], device=images.device)
        rows = (along >= top) & (along < top + height)
        columns = (along >= left) & (along < left + width)
        return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


augmentations.add("random_erasing")(RandomErasing())
