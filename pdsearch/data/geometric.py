"""Random boxes; shear, shift and rotation of images in integer arithmetic, identical on all devices."""

import math

import torch
from torch import Generator, Tensor

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
