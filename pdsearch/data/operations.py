"""The fourteen operations that TrivialAugment and RandAugment choose from, at thirty-one strengths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pdsearch.data import photometric
from pdsearch.data.geometric import rotation, shear, translation, warp

LEVELS = 31

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
class Strengths:
    """Strengths at the highest level.

    Args:
        shear: Of shears, as a share.
        shift: Of shifts, in pixels; the share of the image's size if it is less than 1.
        turn: Of rotations, in degrees.
        blend: Of brightness, colour, contrast and sharpness, up and down from 1.
        bits: Bits that posterize removes.
    """

    shear: float
    shift: float
    turn: float
    blend: float
    bits: int


def applied(
    images: Tensor, operations: Tensor, levels: Tensor, signs: Tensor, strengths: Strengths
) -> Tensor:
    """Return images, each changed by an operation.

    Args:
        images: uint8 (B, C, H, H); not changed.
        operations: Positions in `OPERATIONS`, int64 (B,).
        levels: From 0 to LEVELS - 1, int64 (B,).
        signs: 0 for plus, 1 for minus, int64 (B,).
        strengths: At the highest level.
    """
    views = images.clone()
    for number, name in enumerate(OPERATIONS[1:], start=1):
        chosen = torch.nonzero(operations == number).flatten()
        if len(chosen):
            views[chosen] = _changed(name, images[chosen], levels[chosen], signs[chosen], strengths)
    return views


def _changed(name: str, images: Tensor, levels: Tensor, signs: Tensor, strengths: Strengths) -> Tensor:
    if name in WARPS:
        return warp(images, _matrices(name, images.shape[-1], strengths).to(images.device)[signs, levels])
    share = levels.float() / (LEVELS - 1)
    if name in BLENDS:
        return BLENDS[name](images, 1 + torch.where(signs == 1, -1, 1) * (share * strengths.blend))
    if name == "posterize":
        return photometric.posterize(images, 8 - (share * strengths.bits).round().long())
    if name == "solarize":
        return photometric.solarize(images, 255 * (1 - share))
    return photometric.autocontrast(images) if name == "autocontrast" else photometric.equalize(images)


@cache
def _matrices(name: str, size: int, strengths: Strengths) -> Tensor:
    """Return all matrices of a warp, by sign and level, int64 (2, LEVELS, 6)."""
    shift = strengths.shift if strengths.shift >= 1 else strengths.shift * size

    def matrix(amount: float) -> tuple[int, ...]:
        vertical = name.endswith("y")
        if name.startswith("shear"):
            return shear(amount * strengths.shear, size, vertical=vertical)
        if name == "rotate":
            return rotation(amount * strengths.turn)
        return translation(int(amount * shift), vertical=vertical)

    amounts = [level / (LEVELS - 1) for level in range(LEVELS)]
    return torch.tensor([[matrix(sign * amount) for amount in amounts] for sign in (1, -1)])
