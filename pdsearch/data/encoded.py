"""How are images held that are too many to decode at once? Encoded, where they lie, and decoded when asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.decode import Encoded, decode, is_grey, side_of
from pdsearch.errors import DataError

__all__ = ["EncodedImages", "files_read", "pair"]

Fetch = Callable[[NDArray[np.int64]], Sequence[Encoded]]
"""fetch(positions) -> the bytes of those images, each with its place for messages."""

LOOK_AT = 256
"""Encoded images in memory while all are looked at."""


@dataclass(frozen=True)
class EncodedImages:
    """Images that lie encoded somewhere; see `pdsearch.data.registry.Images`.

    Args:
        fetch: Returns some of them.
        count: How many there are.
        grey: Whether they have one channel.
        side: Height and width.
        crop: Whether they are made that large; otherwise they have to be.
    """

    fetch: Fetch
    count: int
    grey: bool
    side: int
    crop: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (self.count, 1 if self.grey else 3, self.side, self.side)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return the images at some positions, uint8."""
        return decode(self.fetch(index), grey=self.grey, side=self.side, crop=self.crop)


def pair(
    train: tuple[Fetch, int], test: tuple[Fetch, int], *, side: int | None
) -> tuple[EncodedImages, EncodedImages]:
    """Return training and test images of one shape: grey only if every image is.

    Args:
        train: How to fetch them, and how many there are.
        test: Likewise.
        side: To crop them to; None where they all have the first one's size.

    Raises:
        DataError: There are none, one is no image, or training and test images differ in size.
    """
    sides = [side or side_of(*fetch(np.zeros(1, dtype=np.int64))[0]) for fetch, _ in (train, test)]
    if sides[0] != sides[1]:
        sizes = " and ".join(f"{found}x{found}" for found in sides)
        where = train[0](np.zeros(1, dtype=np.int64))[0][1]
        raise DataError(f"training and test images differ in size: {sizes}", where=where)
    grey = all(_all_grey(fetch, count) for fetch, count in (train, test))
    ours, theirs = (
        EncodedImages(fetch, count, grey, sides[0], crop=side is not None) for fetch, count in (train, test)
    )
    return ours, theirs


def files_read(files: Sequence[Path]) -> Fetch:
    """Return how to fetch images that are files."""

    def fetch(index: NDArray[np.int64]) -> list[Encoded]:
        return [(_read(files[position]), str(files[position])) for position in index.tolist()]

    return fetch


def _all_grey(fetch: Fetch, count: int) -> bool:
    for start in range(0, count, LOOK_AT):
        index = np.arange(start, min(start + LOOK_AT, count), dtype=np.int64)
        if not all(is_grey(data, where) for data, where in fetch(index)):
            return False
    return True


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error
