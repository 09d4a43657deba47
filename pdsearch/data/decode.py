"""How do encoded images become one array? Decoded one by one; all have to be square and of one size."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pdsearch.errors import DataError

__all__ = ["decode", "is_grey"]

Encoded = tuple[bytes, str]
"""The bytes of an image, and its place for messages."""

GREY = frozenset({"1", "L"})
COLOUR = frozenset({"P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"})
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def is_grey(data: bytes, where: str) -> bool:
    """Return whether an image is stored with one channel; reads its header only.

    Raises:
        DataError: It is no image, or of a kind that 8 bits a channel cannot hold.
    """
    return _open(data, where).mode in GREY


def decode(encoded: Sequence[Encoded], *, grey: bool) -> NDArray[np.uint8]:
    """Return images as uint8 (N, C, H, W), C = 1 if grey, else 3.

    Raises:
        DataError: An image is broken, not square, or of another size than the first.
    """
    size = _open(*encoded[0]).size
    stack = np.empty((len(encoded), 1 if grey else 3, size[1], size[0]), dtype=np.uint8)
    for position, (data, where) in enumerate(encoded):
        image = _open(data, where)
        if image.size != size or size[0] != size[1]:
            found, first = (f"{width}x{height}" for width, height in (image.size, size))
            hint = "resize all images to one square size"
            raise DataError(f"the image is {found}, the first one {first}", where=where, hint=hint)
        try:
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
        except BROKEN as error:
            raise _broken(where, error) from error
        stack[position] = pixels if grey else pixels.transpose(2, 0, 1)
    return stack


def _open(data: bytes, where: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
    except BROKEN as error:
        raise _broken(where, error) from error
    if image.mode not in GREY | COLOUR:
        raise DataError(
            f"images of mode {image.mode} are not supported", where=where, hint="store 8 bits a channel"
        )
    return image


def _broken(where: str, error: Exception) -> DataError:
    return DataError(f"the image cannot be decoded: {error}", where=where, hint="replace or remove it")
