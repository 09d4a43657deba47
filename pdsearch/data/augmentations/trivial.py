"""TrivialAugment: one of fourteen operations per image, at one of thirty-one strengths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Generator, Tensor

from pdsearch.data import photometric
from pdsearch.data.geometric import rotation, shear, translation, warp
from pdsearch.data.registry import augmentations

__all__ = ["OPERATIONS", "TrivialAugment"]

LEVELS = 31
SHEAR, SHIFT, TURN, BLEND = 0.99, 32.0, 135.0, 0.99
"""Strengths at the highest level: shears, shifts in pixels, rotations in degrees, and blends."""

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
"""Operations, in the order of their numbers in the draws."""

WARPS = OPERATIONS[1:6]
BLENDS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": photometric.brightness,
    "color": photometric.color,
    "contrast": photometric.contrast,
    "sharpness": photometric.sharpness,
}


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
        views = images.clone()
        for number, name in enumerate(OPERATIONS[1:], start=1):
            chosen = torch.nonzero(draws[:, 0] == number).flatten()
            if len(chosen):
                views[chosen] = _changed(name, images[chosen], draws[chosen, 1], draws[chosen, 2])
        return views


def _changed(name: str, images: Tensor, levels: Tensor, signs: Tensor) -> Tensor:
    if name in WARPS:
        return warp(images, _matrices(name, images.shape[-1]).to(images.device)[signs, levels])
    share = levels.float() / (LEVELS - 1)
    if name in BLENDS:
        return BLENDS[name](images, 1 + torch.where(signs == 1, -1, 1) * (share * BLEND))
    if name == "posterize":
        return photometric.posterize(images, 8 - (levels.float() / (LEVELS - 1) * 6).round().long())
    if name == "solarize":
        return photometric.solarize(images, 255 * (1 - share))
    return photometric.autocontrast(images) if name == "autocontrast" else photometric.equalize(images)


@cache
def _matrices(name: str, size: int) -> Tensor:
    """Return all matrices of a warp, by sign and level, int64 (2, LEVELS, 6)."""

    def matrix(amount: float) -> tuple[int, ...]:
        vertical = name.endswith("y")
        if name.startswith("shear"):
            return shear(amount * SHEAR, size, vertical=vertical)
        if name == "rotate":
            return rotation(amount * TURN)
        return translation(int(amount * SHIFT), vertical=vertical)

    amounts = [level / (LEVELS - 1) for level in range(LEVELS)]
    return torch.tensor([[matrix(sign * amount) for amount in amounts] for sign in (1, -1)])


augmentations.add("trivial_augment")(TrivialAugment())
