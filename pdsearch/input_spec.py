"""The shape and type of a network's input, for images and for all other arrays."""

from dataclasses import dataclass
from math import prod
from typing import Final


@dataclass(frozen=True)
class InputSpec:
    """One example as its data set stores it, without the batch: networks take it normalised, as float32.

    Args:
        shape: Its axes, channels first: (C, H, W) of an image, (C, T) of a sequence, (F,) of a table's row.
        dtype: "uint8" for images, 0 to 255, or "float32".
    """

    shape: tuple[int, ...]
    dtype: str = "uint8"

    @property
    def channels(self) -> int:
        """Length of the first axis, along which values are normalised."""
        return self.shape[0]

    @property
    def side(self) -> int:
        """The shorter of the axes after the first, in pixels for an image; 1 if there are none."""
        return min(self.shape[1:], default=1)

    @property
    def nbytes(self) -> int:
        """Bytes of one example."""
        return prod(self.shape) * (1 if self.dtype == "uint8" else 4)

    @property
    def is_map(self) -> bool:
        """Whether it is of shape (C, H, W), as 2-D convolutions take it."""
        return len(self.shape) == 3

    @property
    def is_square(self) -> bool:
        """Whether it is of shape (C, H, H)."""
        return self.is_map and self.shape[1] == self.shape[2]

    @property
    def is_image(self) -> bool:
        """Whether it is an image of bytes."""
        return self.is_map and self.dtype == "uint8"

    @property
    def noun(self) -> str:
        """What they are called in messages: "images" or "inputs"."""
        return "images" if self.is_image else "inputs"

    def fits(self, applies_to: str) -> bool:
        """Return whether a part that applies to inputs of a kind, one of APPLIES_TO, applies to these."""
        map_fits = self.is_map or applies_to == "any"
        return (
            map_fits
            and (self.is_square or "square" not in applies_to)
            and (self.is_image or "images" not in applies_to)
        )

    def __str__(self) -> str:
        """Return, for example, "uint8 (3, 32, 32)"."""
        axes = ", ".join(map(str, self.shape))
        return f"{self.dtype} ({axes}{',' if len(self.shape) == 1 else ''})"


APPLIES_TO: Final = {
    "any": "inputs of any shape",
    "maps": "inputs of shape (C, H, W)",
    "square maps": "inputs of shape (C, H, H)",
    "images": "images of 8 bits a channel",
    "square images": "square images of 8 bits a channel",
}
"""The kinds of inputs that an augmentation can apply to, with their descriptions for messages."""
