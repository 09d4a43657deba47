"""Conversion of images with more than 8 bits a channel to 8 bits, with one scale for all images of a set.

Files of 16 bits often use fewer (cameras 12, instruments 10), or hold values that fit 8 bits. So the largest value of
the whole set determines its number of bits, and 0 to 2^bits - 1 is mapped to 0 to 255. Floating-point images with
values up to 1 have their white at 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pdsearch.errors import DataError

DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes with one channel and more than 8 bits."""

BITS = (8, 10, 12, 14, 16)
HINT = "store 8 or 16 bits a channel, counted from 0"


@dataclass(frozen=True)
class Largest:
    """The largest values of a set's images with more than 8 bits; 0 if there are none.

    Args:
        whole: Largest value of the integer images.
        real: Largest value of the floating-point images.
    """

    whole: float = 0
    real: float = 0

    def with_image(self, image: Image.Image, where: str) -> "Largest":
        """Return the largest values with one more image included.

        Raises:
            DataError: Its values are not those of an image of 8 or 16 bits.
        """
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high < 1 << BITS[-1]:
            raise DataError(f"the image has values from {low:g} to {high:g}", where=where, hint=HINT)
        if image.mode == "F":
            return replace(self, real=max(self.real, high))
        return replace(self, whole=max(self.whole, high))

    def white(self, mode: str) -> float:
        """Return the value that is mapped to 255."""
        if mode == "F" and self.real <= 1:
            return 1
        return 2.0 ** _bits(self.real if mode == "F" else self.whole) - 1

    def notes(self) -> Iterable[str]:
        """Yield notes on the scale to 8 bits where it differs from the range of the file type."""
        if self.whole and _bits(self.whole) < BITS[-1]:
            bits = _bits(self.whole)
            yield f"images of 16 bits use {bits} of them (values up to {self.whole:g}): {2**bits - 1} is white"
        if self.real:
            yield f"images of floating-point numbers go up to {self.real:g}: {self.white('F'):g} is white"


def to_8_bits(image: Image.Image, largest: Largest) -> Image.Image:
    """Convert an image of more than 8 bits to mode L.

    Args:
        image: In one of the modes of DEEP.
        largest: The largest values of the set.
    """
    values: NDArray[np.float64] = np.asarray(image, dtype=np.float64) * (255 / largest.white(image.mode))
    return Image.fromarray(np.rint(values).astype(np.uint8))


def _bits(value: float) -> int:
    return next(bits for bits in BITS if value < 1 << bits)
