"""Images of more than 8 bits a channel, brought to 8 bits: one scale for all images of a set.

Files of 16 bits often use fewer (cameras 12, instruments 10), or hold values that 8 bits would have held. So the
largest value of the whole set says how many bits it uses, and 0 to 2^bits - 1 becomes 0 to 255. Of floating-point
numbers, those up to 1 are shares of white.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pdsearch.errors import DataError

__all__ = ["DEEP", "Largest", "to_8_bits"]

DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes of one channel and more than 8 bits."""

BITS = (8, 10, 12, 14, 16)
HINT = "store 8 or 16 bits a channel, counted from 0"


@dataclass(frozen=True)
class Largest:
    """The largest values of a set's deep images; 0 where there are none.

    Args:
        whole: Of those of whole numbers.
        real: Of those of floating-point numbers.
    """

    whole: float = 0
    real: float = 0

    def with_image(self, image: Image.Image, where: str) -> "Largest":
        """Return what is the largest with one more image.

        Raises:
            DataError: Its values are none that an image of 8 or 16 bits has.
        """
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high < 1 << BITS[-1]:
            raise DataError(f"the image has values from {low:g} to {high:g}", where=where, hint=HINT)
        if image.mode == "F":
            return replace(self, real=max(self.real, high))
        return replace(self, whole=max(self.whole, high))

    def white(self, mode: str) -> float:
        """Return the value that becomes 255."""
        if mode == "F" and self.real <= 1:
            return 1
        return 2.0 ** _bits(self.real if mode == "F" else self.whole) - 1

    def notes(self) -> Iterable[str]:
        """Say how deep images become 8 bits, where it is not the range of their files."""
        if self.whole and _bits(self.whole) < BITS[-1]:
            bits = _bits(self.whole)
            yield f"images of 16 bits use {bits} of them (values up to {self.whole:g}): {2**bits - 1} is white"
        if self.real:
            yield f"images of floating-point numbers go up to {self.real:g}: {self.white('F'):g} is white"


def to_8_bits(image: Image.Image, largest: Largest) -> Image.Image:
    """Return a deep image as one of mode L.

    Args:
        image: Of one of the modes of DEEP.
        largest: Of the set.
    """
    values: NDArray[np.float64] = np.asarray(image, dtype=np.float64) * (255 / largest.white(image.mode))
    return Image.fromarray(np.rint(values).astype(np.uint8))


def _bits(value: float) -> int:
    return next(bits for bits in BITS if value < 1 << bits)
