"""Lazily decoded images, for sets too large to decode at once: they stay encoded on the disk until indexed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.readers.decode import (
    DEEP,
    GREY,
    RESIZE,
    Encoded,
    Largest,
    Size,
    decode_images,
    is_turned,
    mode_of,
    size_of,
    with_largest,
)
from pdsearch.data.readers.regular_files import reading
from pdsearch.errors import DataError
from pdsearch.io.durable import read_regular

Fetch = Callable[[NDArray[np.int64]], Sequence[Encoded]]
"""fetch(positions) -> the bytes of those images, each with its location for messages."""

Counted = tuple[Fetch, int]
"""A function to fetch images, and their number."""

LISTED = 50
"""Number of broken images that a message lists."""

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
        size: Height and width.
        crop: Whether images are resized and cropped to that size; otherwise they must have it.
        largest: The largest values of the whole set's images of more than 8 bits a channel.
        whole: All images of the set: if one is broken, all broken ones are reported.
        paged: Those of the set whose files have several pages or frames: how many, and the first one's location.
    """

    fetch: Fetch
    count: int
    grey: bool
    size: Size
    crop: bool = False
    largest: Largest = NONE
    whole: tuple["Counted", ...] = ()
    paged: tuple[int, str] = (0, "")

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        return (self.count, 1 if self.grey else 3, *self.size)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on how they are decoded."""
        count, first = self.paged
        several = f"{count:,} files have several pages or frames, of which the first is read, such as {first}"
        one = f"{first} has several pages or frames, of which the first is read"
        paged = {0: (), 1: (one,)}.get(count, (several,))
        return (*self.largest.notes(), *paged)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Return the images at some positions, uint8.

        Raises:
            DataError: Some cannot be decoded; the message names all of the set.
        """
        try:
            return self._decoded(self.fetch(index))
        except DataError as error:
            raise all_broken(error, self.whole, lambda encoded: self._decoded([encoded])) from error

    def _decoded(self, encoded: Sequence[Encoded]) -> NDArray[np.uint8]:
        return decode_images(encoded, grey=self.grey, size=self.size, crop=self.crop, largest=self.largest)


def pair(train: Counted, test: Counted, *, side: int | None) -> tuple[EncodedImages, EncodedImages]:
    """Return training and test images of one shape: grey only if every image is.

    Args:
        train: Function to fetch training images, and their number, at least one.
        test: The same for test images; the number may be 0.
        side: Size to crop to; None if all must have the size of the first.

    Raises:
        DataError: Some cannot be read, or training and test images differ in size.
    """
    parts = tuple((fetch, count) for fetch, count in (train, test) if count)
    try:
        sizes = [(side, side) if side else size_of(*fetch(FIRST)[0]) for fetch, _ in parts]
        grey, largest, paged = True, NONE, list[str]()
        for data, where in _each(parts):
            mode, several = mode_of(data, where)
            paged += [where] * several
            grey = grey and mode in GREY
            largest = with_largest(data, where, largest) if mode in DEEP else largest
    except DataError as error:
        crop, size = side is not None, (side or 1, side or 1)
        raise all_broken(error, parts, lambda encoded: _try(encoded, size, crop=crop)) from error
    if sizes[0] != sizes[-1]:
        shown = " and ".join(f"{width}x{height}" for height, width in sizes)
        raise DataError(
            f"training and test images differ in size: {shown}", where=train[0](FIRST)[0][1], hint=RESIZE
        )
    pages = len(paged), next(iter(paged), "")
    ours, theirs = (
        EncodedImages(fetch, count, grey, sizes[0], side is not None, largest, parts, pages)
        for fetch, count in (train, test)
    )
    return ours, theirs


def _try(encoded: Encoded, size: Size, *, crop: bool) -> None:
    data, where = encoded
    decode_images([encoded], grey=True, size=size if crop else size_of(data, where), crop=crop)


def all_broken(first: DataError, parts: Sequence[Counted], use: Callable[[Encoded], object]) -> DataError:
    """Return one error for all broken images of a set."""
    found: list[DataError] = []
    for fetch, count in parts:
        for position in range(count):
            try:
                use(fetch(np.array([position], dtype=np.int64))[0])
            except DataError as error:
                found.append(error)
    return together(found, sum(count for _, count in parts)) if len(found) > 1 else first


def together(found: Sequence[DataError], total: int) -> DataError:
    """Return one error that lists several, a line each."""
    lines = [f"{error.where}: {error.what}" for error in found[:LISTED]]
    if len(found) > LISTED:
        lines.append(f"and {len(found) - LISTED:,} more")
    hints = dict.fromkeys(error.hint for error in found if error.hint)
    what = f"{len(found):,} of {total:,} images cannot be used:\n    " + "\n    ".join(lines)
    return DataError(what, hint="; ".join(hints) or None)


def any_turned(*parts: Counted) -> bool:
    """Return whether decoding rotates or mirrors any of these images; see `pdsearch.data.readers.decode.is_turned`."""
    return any(is_turned(data) for data, _ in _each(parts))


def files_read(files: Sequence[Path]) -> Fetch:
    """Return a fetch function for images stored as files."""

    def fetch(index: NDArray[np.int64]) -> list[Encoded]:
        return [(read_file(files[position]), str(files[position])) for position in index.tolist()]

    return fetch


def _each(parts: Sequence[Counted]) -> Iterator[Encoded]:
    for fetch, count in parts:
        for start in range(0, count, LOOK_AT):
            yield from fetch(np.arange(start, min(start + LOOK_AT, count), dtype=np.int64))


def read_file(path: Path, where: str = "") -> bytes:
    """Return the content of an image file.

    Raises:
        DataError: It cannot be read.
    """
    with reading(where or path, "replace or remove it"):
        return read_regular(path)
