"""Lazily decoded images, for sets too large to decode at once: they stay encoded on the disk until indexed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.readers.decode import GREY, Encoded, decode, is_turned, mode_of, side_of, with_largest
from pdsearch.data.readers.deep import DEEP, Largest
from pdsearch.errors import DataError
from pdsearch.io.durable import UnfitFileError, read_regular

__all__ = ["EncodedImages", "any_turned", "files_read", "pair", "read_file"]

Fetch = Callable[[NDArray[np.int64]], Sequence[Encoded]]
"""fetch(positions) -> the bytes of those images, each with its location for messages."""

NONE = Largest()
FIRST = np.zeros(1, dtype=np.int64)

LOOK_AT = 256
"""Number of encoded images in memory at once while all headers are read."""


@dataclass(frozen=True)
class EncodedImages:
    """Encoded images, decoded when indexed; see `pdsearch.data.registry.Images`.

    Args:
        fetch: Returns the encoded images at some positions.
        count: Number of images.
        grey: Whether they have one channel.
        side: Height and width.
        crop: Whether images are resized and cropped to that size; otherwise they must have it.
        largest: The largest values of the whole set's images of more than 8 bits a channel.
    """

    fetch: Fetch
    count: int
    grey: bool
    side: int
    crop: bool = False
    largest: Largest = NONE

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (self.count, 1 if self.grey else 3, self.side, self.side)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on how they are decoded."""
        return tuple(self.largest.notes())

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return the images at some positions, uint8."""
        return decode(self.fetch(index), grey=self.grey, side=self.side, crop=self.crop, largest=self.largest)


def pair(
    train: tuple[Fetch, int], test: tuple[Fetch, int], *, side: int | None
) -> tuple[EncodedImages, EncodedImages]:
    """Return training and test images of one shape: grey only if every image is.

    Args:
        train: Function to fetch training images, and their number, at least one.
        test: The same for test images; the number may be 0.
        side: Size to crop to; None if all must have the size of the first.

    Raises:
        DataError: One cannot be decoded, or training and test images differ in size.
    """
    parts = [(fetch, count) for fetch, count in (train, test) if count]
    sides = [side or side_of(*fetch(FIRST)[0]) for fetch, _ in parts]
    if sides[0] != sides[-1]:
        sizes = " and ".join(f"{found}x{found}" for found in sides)
        raise DataError(f"training and test images differ in size: {sizes}", where=train[0](FIRST)[0][1])
    grey, largest = True, NONE
    for data, where in _each(parts):
        mode = mode_of(data, where)
        grey = grey and mode in GREY
        largest = with_largest(data, where, largest) if mode in DEEP else largest
    ours, theirs = (
        EncodedImages(fetch, count, grey, sides[0], crop=side is not None, largest=largest)
        for fetch, count in (train, test)
    )
    return ours, theirs


def any_turned(*parts: tuple[Fetch, int]) -> bool:
    """Return whether decoding rotates or mirrors any of these images; see `pdsearch.data.readers.decode.is_turned`."""
    return any(is_turned(data) for data, _ in _each(parts))


def files_read(files: Sequence[Path]) -> Fetch:
    """Return a fetch function for images stored as files."""

    def fetch(index: NDArray[np.int64]) -> list[Encoded]:
        return [(read_file(files[position]), str(files[position])) for position in index.tolist()]

    return fetch


def _each(parts: Sequence[tuple[Fetch, int]]) -> Iterator[Encoded]:
    for fetch, count in parts:
        for start in range(0, count, LOOK_AT):
            yield from fetch(np.arange(start, min(start + LOOK_AT, count), dtype=np.int64))


def read_file(path: Path) -> bytes:
    """Return the content of an image file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return read_regular(path)
    except UnfitFileError as error:
        raise DataError(error.what, where=str(path)) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error
