"""Decode images one by one into one array: upright, 8 bits a channel, of one size (cropped if requested).

Files of 16 bits often use fewer (cameras 12, instruments 10), or hold values that fit 8 bits. So the largest value of
the whole set determines its number of bits, and 0 to 2^bits - 1 is mapped to 0 to 255. Floating-point images with
values up to 1 have their white at 1.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pdsearch.errors import DataError

Encoded = tuple[bytes, str]
"""The bytes of an image, and its location for messages."""

Size = tuple[int, int]
"""Height and width, in pixels."""

FILTER = "bilinear"
"""Name of the filter that images are resized with, Pillow's, which takes means where it makes smaller."""

DEEP = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes with one channel and more than 8 bits."""

BITS = (8, 10, 12, 14, 16)
HINT = "store 8 or 16 bits a channel, counted from 0"

GREY = frozenset({"1", "L", *DEEP})
COLOUR = frozenset({"P", "PA", "RGB", "RGBA", "RGBX", "LA", "CMYK", "YCbCr"})
RESIZE = "resize all images to one size; data.options.image_size does so for an image folder"
SMALLER = "a few kilobytes can hold so many; make it smaller, or remove it"
MOST_PIXELS = 100_000_000
"""Limit for one image: 300 MB at three bytes per pixel."""

BROKEN = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, RuntimeError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
"""Pillow's plugins have no class of errors of their own for damaged files."""

ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes an image upright, by its EXIF orientation."""

SIDEWAYS = frozenset({5, 6, 7, 8})
"""Orientations in which height and width are swapped."""

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
APP1, START_OF_SCAN = 0xE1, 0xDA
"""JPEG markers: the segment that holds EXIF or XMP, and the one after which no more metadata follows."""

PNG_NOTES = frozenset({b"eXIf", b"iTXt", b"tEXt", b"zTXt"})
"""PNG chunks that can hold EXIF or XMP."""


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


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress Pillow's warnings (odd metadata, palettes, sizes): unreadable images are errors anyway."""
    with warnings.catch_warnings(action="ignore"):
        yield


@_quietly()
def mode_of(data: bytes, where: str) -> tuple[str, bool]:
    """Return Pillow's mode of an image, and whether its file has several pages or frames; reads its headers only.

    Raises:
        DataError: It is no image, or of a mode that cannot be converted to 8 bits a channel.
    """
    image = _open(data, where)
    try:  # The further images of a camera's MPO file are the first one in other sizes.
        return image.mode, image.format != "MPO" and bool(getattr(image, "is_animated", False))
    except BROKEN as error:
        raise _broken(where, error) from error


@_quietly()
def with_largest(data: bytes, where: str, largest: Largest) -> Largest:
    """Update the largest values of a set with one more image, of a mode in DEEP.

    Raises:
        DataError: The image cannot be decoded, or its values do not fit 16 bits.
    """
    image = _open(data, where)
    try:
        image.load()
    except BROKEN as error:
        raise _broken(where, error) from error
    return largest.with_image(image, where)


@_quietly()
def is_turned(data: bytes) -> bool:
    """Return whether decoding rotates or mirrors an image according to its EXIF orientation."""
    if not _has_notes(data):
        return False
    try:
        image = Image.open(io.BytesIO(data))
    except BROKEN:
        return False  # Decoding reports the error, with its location.
    return image.format != "TIFF" and _orientation(image) in TURNS


def _has_notes(data: bytes) -> bool:
    """Return whether an image may have an EXIF orientation: ten times as fast as Pillow, for most formats."""
    if data.startswith(JPEG):
        at = len(JPEG)
        while (
            data[at : at + 1] == b"\xff" and at + 4 <= len(data) and data[at + 1] not in (APP1, START_OF_SCAN)
        ):
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        return data[at : at + 2] != bytes((0xFF, START_OF_SCAN))
    if data.startswith(PNG):
        at = len(PNG)
        while at + 8 <= len(data) and data[at + 4 : at + 8] not in PNG_NOTES:
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        return at + 8 <= len(data)
    return True


@_quietly()
def size_of(data: bytes, where: str) -> Size:
    """Return the height and width of an upright image; reads its header only.

    Raises:
        DataError: It is no image.
    """
    image = _open(data, where)
    height, width = image.height, image.width
    return (width, height) if _orientation(image) in SIDEWAYS else (height, width)


@_quietly()
def decode_images(
    encoded: Sequence[Encoded], *, grey: bool, size: Size, crop: bool = False, largest: Largest | None = None
) -> NDArray[np.uint8]:
    """Return images as uint8 (N, C, H, W), C = 1 if grey, else 3.

    They are made upright by their EXIF orientation. Transparency is dropped and the colours beneath it are kept. Of
    an animation the first frame is taken.

    Args:
        encoded: The images.
        grey: Whether to convert them to one channel.
        size: Height and width of them all.
        crop: Resize each by its shorter side and crop the longer one at the centre, to a square.
        largest: The largest values of the set's images of more than 8 bits; by default those of each single image.

    Raises:
        DataError: An image is damaged, or of another size and `crop` is false.
    """
    stack = np.empty((len(encoded), 1 if grey else 3, *size), dtype=np.uint8)
    for position, (data, where) in enumerate(encoded):
        stack[position] = _pixels(_open(data, where), where, grey=grey, size=size, crop=crop, largest=largest)
    return stack


@_quietly()
def read_one(
    source: str | Path | Image.Image | NDArray[np.generic],
    *,
    grey: bool,
    size: Size,
    crop: bool,
    largest: Largest | None = None,
) -> NDArray[np.uint8]:
    """Return one image, decoded as `decode` does, as uint8 (1, C, H, W).

    Args:
        source: The image, its path, or its pixels, uint8 (H, W) or (H, W, C).
        grey: Whether to convert it to one channel.
        size: Height and width.
        crop: As in `decode`.
        largest: The largest values of the images of more than 8 bits that it belongs to.

    Raises:
        DataError: It cannot be read, is of another size and `crop` is false, or has more than 8 bits a channel and
            `largest` is not known: what is white depends on the other images of its set.
    """
    where = str(source) if isinstance(source, str | Path) else "the image"
    if isinstance(source, Image.Image):
        image = source.copy()  # Loading a file's image changes it.
    elif isinstance(source, str | Path):
        try:
            image = _open(Path(source).read_bytes(), where)
        except OSError as error:
            raise DataError(f"the image cannot be read: {error.strerror or error}", where=where) from error
    elif isinstance(source, np.ndarray) and source.dtype == np.uint8:
        shape = source.shape[:2] if source.shape[2:] == (1,) else source.shape
        try:
            image = Image.fromarray(source.reshape(shape))
        except TypeError as error:
            hint = "give an array (H, W) or (H, W, C), or a batch (B, C, H, W)"
            raise DataError(f"an array {source.shape} is no image", hint=hint) from error
    else:
        hint = "give a path, a Pillow image, an array of uint8, or a batch as a tensor"
        kind = f"{source.dtype} array" if isinstance(source, np.ndarray) else type(source).__name__
        raise DataError(f"a {kind} is no image", hint=hint)
    if (image.mode in DEEP and largest is None) or image.mode not in GREY | COLOUR:
        hint = "convert it to 8 bits as the training images were (docs/data.md)"
        raise DataError(f"the image has the mode {image.mode}, not 8 bits a channel", where=where, hint=hint)
    return _pixels(image, where, grey=grey, size=size, crop=crop, largest=largest)[None]


def _pixels(
    image: Image.Image,
    where: str,
    *,
    grey: bool,
    size: Size,
    crop: bool = False,
    largest: Largest | None = None,
) -> NDArray[np.uint8]:
    """Return an opened image as uint8 (C, H, W)."""
    try:
        image = _converted(image, where, grey, largest)
        if not crop and (image.height, image.width) != size:
            raise _other_size(image, size, where)
        pixels = np.array(_cropped(image, size[0]) if crop else image)
    except BROKEN as error:
        raise _broken(where, error) from error
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _other_size(image: Image.Image, size: Size, where: str) -> DataError:
    what = f"the image is {image.width}x{image.height}, the first one {size[1]}x{size[0]}"
    return DataError(what, where=where, hint=RESIZE)


def _converted(image: Image.Image, where: str, grey: bool, largest: Largest | None) -> Image.Image:
    image.load()
    turn = TURNS.get(_orientation(image))  # TIFF has none left here: Pillow has already applied it.
    if image.mode in DEEP:
        scale = 255 / (largest or Largest().with_image(image, where)).white(image.mode)
        image = Image.fromarray(np.rint(np.asarray(image, dtype=np.float64) * scale).astype(np.uint8))
    image = image.convert("L" if grey else "RGB")
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 by default; damaged metadata does not make an image unreadable."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except (*BROKEN, TypeError):
        return 1


def _cropped(image: Image.Image, side: int) -> Image.Image:
    width, height = image.size
    shorter = min(width, height)
    left, top = (width - shorter) / 2, (height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    return image.resize((side, side), Image.Resampling[FILTER.upper()], box=box)


def _open(data: bytes, where: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))  # Its warning of many pixels is an error below.
    except Image.DecompressionBombError as error:
        raise DataError(
            f"the image has more than {MOST_PIXELS:,} pixels", where=where, hint=SMALLER
        ) from error
    except BROKEN as error:
        raise _broken(where, error) from error
    if image.width * image.height > MOST_PIXELS:
        what = f"the image has {image.width:,} x {image.height:,} pixels, more than {MOST_PIXELS:,}"
        raise DataError(what, where=where, hint=SMALLER)
    if image.mode not in GREY | COLOUR:
        raise DataError(
            f"images of mode {image.mode} are not supported", where=where, hint="store 8 bits a channel"
        )
    return image


def _broken(where: str, error: Exception) -> DataError:
    # Pillow's message names a stream object by its address, which is of no use to the user.
    reason = str(error).partition(" <_io")[0]
    return DataError(f"the image cannot be decoded: {reason}", where=where, hint="replace or remove it")


def _bits(value: float) -> int:
    return next(bits for bits in BITS if value < 1 << bits)
