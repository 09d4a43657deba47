"""ImageNet's random crop, resized to the size of the views, and the mirroring of half of the images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data.image_operations import random_boxes
from pdsearch.data.registry import augmentations
from pdsearch.registry import parameter

RATIOS = (3 / 4, 4 / 3)
"""Smallest and largest ratio of a crop's sides."""


@dataclass(frozen=True)
class RandomResizedCrop:
    """Crop a random share of the area at a random ratio of its sides, and resize it, bilinearly and antialiased.

    The number is the smallest share. Views have the side `data.crop`, or that of the images.

    Source:
        Szegedy and others, "Going deeper with convolutions", CVPR 2015, arXiv 1409.4842, section 6, as torchvision's
        RandomResizedCrop draws and resizes it: the first of ten draws that fits, else the centre.
    """

    scale: float = parameter(0.08, help="smallest share of the image's area", low=0.01, high=1.0)
    constant: ClassVar[bool] = False

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:
        """Return one row per image: top, left, height and width of the crop; int64 (N, 4)."""
        boxes = random_boxes(images, size, generator, shares=(self.scale, 1.0), ratios=RATIOS, whole=True)
        return torch.where(boxes[:, 2:3] > 0, boxes, torch.tensor([0, 0, size, size]))

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images (B, C, H, H) for the draws (B, 4) of the same images, in their size."""
        return self.crop(images, draws, images.shape[-1])

    def crop(self, images: Tensor, draws: Tensor, side: int) -> Tensor:
        """Return the views of images (B, C, H, H) for the draws (B, 4) of the same images, (B, C, side, side)."""
        # Here, since reading a space loads this module, and torchvision takes seconds to load.
        from torchvision.transforms.v2.functional import resized_crop

        views = images.new_empty(*images.shape[:2], side, side)
        for view, image, (top, left, height, width) in zip(views, images, draws.tolist(), strict=True):
            view.copy_(resized_crop(image, top, left, height, width, [side, side], antialias=True))
        return views


@dataclass(frozen=True)
class Flip:
    """Mirror half of the images.

    Source:
        Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NeurIPS
        2012, section 4.1.
    """

    constant: ClassVar[bool] = False
    applies_to: ClassVar[str] = "maps"

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:  # noqa: ARG002 - protocol
        """Return one row per image: flip (0 or 1); int64 (N, 1)."""
        return torch.randint(0, 2, (images, 1), generator=generator)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images (B, C, H, W) for the draws (B, 1) of the same images."""
        return torch.where(draws[:, :1, None, None] == 1, images.flip(-1), images)


augmentations.add("random_resized_crop")(RandomResizedCrop())
augmentations.add("flip")(Flip())
