"""How do encoded images become one array? Decoded one by one; all are square and of one size, or made so."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pdsearch.errors import DataError

__all__ = ["Encoded", "decode", "is_grey", "side_of"]

Encoded = tuple[bytes, str]
"""The bytes of an image, and its place for messages."""

GREY = frozenset({"1", "L"})
COLOUR = frozenset({"P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"})
RESIZE = "resize all images to one square size; data.options.image_size does so for an image folder"
BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def is_grey(data: bytes, where: str) -> bool:
    """Return whether an image is stored with one channel; reads its header only.

    Raises:
        DataError: It is no image, or of a kind that 8 bits a channel cannot hold.
    """
    return _open(data, where).mode in GREY


def side_of(data: bytes, where: str) -> int:
    """Return the height and width of a square image; reads its header only.

    Raises:
        DataError: It is no image, or not square.
    """
    width, height = _open(data, where).size
    if width != height:
        raise DataError(f"the image is {width}x{height}, not square", where=where, hint=RESIZE)
    return width


def decode(encoded: Sequence[Encoded], *, grey: bool, side: int, crop: bool = False) -> NDArray[np.uint8]:
    """Return images as uint8 (N, C, side, side), C = 1 if grey, else 3.

    Args:
        encoded: The images.
        grey: Whether to convert them to one channel.
        side: Height and width of them all.
        crop: Shrink or enlarge each until its shorter side fits, and cut off both ends of the longer one.

    Raises:
        DataError: An image is broken, or of another size where it is not to be cropped.
    """
    stack = np.empty((len(encoded), 1 if grey else 3, side, side), dtype=np.uint8)
    for position, (data, where) in enumerate(encoded):
        image = _open(data, where)
        if not crop and image.size != (side, side):
            found = "x".join(map(str, image.size))
            raise DataError(f"the image is {found}, the first one {side}x{side}", where=where, hint=RESIZE)
        try:
            image = image.convert("L" if grey else "RGB")
            pixels = np.asarray(_cropped(image, side) if crop else image)
        except BROKEN as error:
            raise _broken(where, error) from error
        stack[position] = pixels if grey else pixels.transpose(2, 0, 1)
    return stack


def _cropped(image: Image.Image, side: int) -> Image.Image:
    width, height = image.size
    shorter = min(width, height)
    left, top = (width - shorter) / 2, (height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    return image.resize((side, side), Image.Resampling.BILINEAR, box=box)


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
    # Pillow names the stream, whose address tells nobody anything.
    reason = str(error).partition(" <_io")[0]
    return DataError(f"the image cannot be decoded: {reason}", where=where, hint="replace or remove it")
