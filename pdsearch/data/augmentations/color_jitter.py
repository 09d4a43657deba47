"""Colour jitter: brightness, contrast and saturation of each image change, in random order."""

from dataclasses import dataclass
from itertools import permutations
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data import image_operations
from pdsearch.data.registry import augmentations
from pdsearch.registry import parameter

UNIT = 2**20
CHANGES = (image_operations.brightness, image_operations.contrast, image_operations.color)
ORDERS = torch.tensor(list(permutations(range(len(CHANGES)))))


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast and saturation of each image in random order, each by 1 - number to 1 + number.

    Source:
        Howard, "Some improvements on deep convolutional neural network based image classification", 2013, arXiv
        1312.5402, section 2; as torchvision's ColorJitter, without the hue.
    """

    strength: float = parameter(0.4, help="largest change of a factor from 1", low=0.01, high=1.0)
    constant: ClassVar[bool] = False

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:  # noqa: ARG002 - protocol
        """Return one row per image: the order, and three factors in steps of 1/UNIT; int64 (N, 4)."""
        order = torch.randint(0, len(ORDERS), (images, 1), generator=generator)
        uniform = torch.rand(images, len(CHANGES), generator=generator, dtype=torch.float64)
        factors = 1 + self.strength * (2 * uniform - 1)
        return torch.cat([order, (factors * UNIT).round().long()], dim=1)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images uint8 (B, C, H, W) for the draws (B, 4) of the same images."""
        orders, factors = ORDERS.to(draws.device)[draws[:, 0]], draws[:, 1:].float() / UNIT
        views = images.clone()
        for position in range(len(CHANGES)):
            for number, change in enumerate(CHANGES):
                chosen = torch.nonzero(orders[:, position] == number).flatten()
                if len(chosen):
                    views[chosen] = change(views[chosen], factors[chosen, number])
        return views


augmentations.add("color_jitter")(ColorJitter())
