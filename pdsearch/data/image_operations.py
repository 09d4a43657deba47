"""Geometric and photometric operations on bytes, and the fourteen that TrivialAugment and RandAugment choose from.

Boxes and warps are in integer arithmetic, identical on all devices. Every photometric step is one rounded operation on
one value, or an integer sum, so that no result depends on the batching.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Generator, Tensor

GREY = (0.2989, 0.587, 0.114)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with black; factors float32 (B,), 1 changes nothing."""
    return _blend(images, torch.zeros_like(images), factors)


def color(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with their greyscale versions; images of one channel unchanged."""
    return _blend(images, _grey(images), factors) if images.shape[1] == len(GREY) else images


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with the mean of their greyscale versions."""
    grey = _grey(images)
    mean = grey.long().sum(dim=(1, 2, 3), keepdim=True).double() / grey[0].numel()
    return _blend(images, mean.float(), factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with smoothed versions, in which border pixels are not smoothed."""
    if images.shape[-1] <= 2:
        return images
    whole, smooth = images.long(), images.clone()
    size = images.shape[-1] - 2
    around = sum(whole[..., y : y + size, x : x + size] for y in range(3) for x in range(3))
    inner = around + 4 * whole[..., 1:-1, 1:-1]
    smooth[..., 1:-1, 1:-1] = ((2 * inner + 13) // 26).to(torch.uint8)
    return _blend(images, smooth, factors)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Return images with only the highest bits of each value; bits int64 (B,), 1 to 8."""
    return images & (256 - 2 ** (8 - bits)).to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Return images whose values at or above a threshold, float32 (B,), are inverted."""
    return torch.where(images >= thresholds[:, None, None, None], 255 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Return images with each channel stretched to 0..255; constant channels unchanged."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    scale = 255.0 / (high - low).float()
    stretched = ((images - low).float() * scale).clamp(0, 255).to(torch.uint8)
    return torch.where(high == low, images, stretched)


def equalize(images: Tensor) -> Tensor:
    """Return images with the histogram of each channel equalized, as in Pillow."""
    flat = images.flatten(2).long()
    counts = flat.new_zeros(*flat.shape[:2], 256).scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(dim=2, keepdim=True))
    step = (flat.shape[2] - last) // 255
    below = counts.cumsum(dim=2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    return torch.where(step == 0, flat, table.gather(2, flat)).to(torch.uint8).view_as(images)


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    ours = factors[:, None, None, None]
    return (images.float() * ours + others.float() * (1 - ours)).clamp(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != len(GREY):
        return images
    red, green, blue = (images[:, c : c + 1].float() * weight for c, weight in enumerate(GREY))
    return (red + green + blue).to(torch.uint8)


FRACTION = 16
"""Fractional bits of the fixed-point entries of a matrix."""

Affine = tuple[int, int, int, int, int, int]
"""Map from output to source coordinates, (xx, xy, x0, yx, yy, y0), in 2^-FRACTION, relative to the image centre."""


def shear(amount: float, size: int, *, vertical: bool) -> Affine:
    """Return a shear about the upper left corner: x grows by amount * y, or y by amount * x if vertical."""
    a, shift, one = _fixed(amount), _fixed(amount * size / 2), _fixed(1)
    return (one, 0, 0, a, one, shift) if vertical else (one, a, shift, 0, one, 0)


def translation(pixels: int, *, vertical: bool) -> Affine:
    """Return a shift to the right, or downwards if vertical."""
    one, shift = _fixed(1), _fixed(-pixels)
    return (one, 0, 0, 0, one, shift) if vertical else (one, 0, shift, 0, one, 0)


def rotation(degrees: float) -> Affine:
    """Return a counter-clockwise rotation about the centre."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (_fixed(cos), _fixed(-sin), 0, _fixed(sin), _fixed(cos), 0)


TRIES = 10


def random_boxes(
    images: int,
    size: int,
    generator: Generator,
    *,
    shares: tuple[float, float],
    ratios: tuple[float, float],
    whole: bool,
) -> Tensor:
    """Return a random box for each image: top, left, height and width, int64 (N, 4).

    It is the first of ten draws that fits into a square, as in torchvision; zeros where none does.

    Args:
        images: Number of images.
        size: Height and width of an image.
        generator: The only source of randomness.
        shares: Smallest and largest share of the area, drawn uniformly.
        ratios: Smallest and largest ratio of height to width, drawn uniformly on a logarithmic scale.
        whole: Whether a side of the box may be as long as the image's.
    """
    low, high = (math.log(ratio) for ratio in ratios)
    boxes, found = torch.zeros(images, 4, dtype=torch.int64), torch.zeros(images, dtype=torch.bool)
    for _ in range(TRIES):
        share, ratio, *places = torch.rand(4, images, generator=generator, dtype=torch.float64)
        area = size**2 * (shares[0] + (shares[1] - shares[0]) * share)
        slope = (low + (high - low) * ratio).exp()
        sides = torch.stack([(area * slope).sqrt(), (area / slope).sqrt()], dim=1).round().long()
        fits = (sides.amax(dim=1) <= (size if whole else size - 1)) & (sides.amin(dim=1) > 0) & ~found
        starts = (torch.stack(places, dim=1) * (size - sides + 1)).long()
        boxes = torch.where(fits[:, None], torch.cat([starts, sides], dim=1), boxes)
        found |= fits
    return boxes


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Apply affine maps by nearest-neighbour sampling; pixels from outside the image are black.

    Args:
        images: uint8 (B, C, H, W), H = W.
        matrices: int64 (B, 6), rows of `Affine`.
    """
    size = images.shape[-1]
    # Doubled coordinates relative to the centre are integers for every size.
    along = 2 * torch.arange(size, device=images.device) - (size - 1)
    x, y = along[None, None, :], along[None, :, None]
    xx, xy, x0, yx, yy, y0 = (matrices[:, entry, None, None] for entry in range(6))
    columns = (xx * x + xy * y + 2 * x0 + (size << FRACTION)) >> (FRACTION + 1)
    rows = (yx * x + yy * y + 2 * y0 + (size << FRACTION)) >> (FRACTION + 1)
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    source = (rows.clamp(0, size - 1) * size + columns.clamp(0, size - 1)).view(len(images), 1, -1)
    taken = images.flatten(2).gather(2, source.expand(-1, images.shape[1], -1)).view_as(images)
    return taken * inside[:, None]


def _fixed(value: float) -> int:
    return round(value * (1 << FRACTION))


LEVELS = 31

OPERATIONS = (
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness"),
    *("color", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize"),
)
"""Operations, in the order of their numbers in the draws."""

WARPS = OPERATIONS[1:6]
BLENDS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness,
    "color": color,
    "contrast": contrast,
    "sharpness": sharpness,
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
        return posterize(images, 8 - (share * strengths.bits).round().long())
    if name == "solarize":
        return solarize(images, 255 * (1 - share))
    return autocontrast(images) if name == "autocontrast" else equalize(images)


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
