"""Image files in class folders as a data set: listed, hashed, and decoded when indexed."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pdsearch.data.options import first_of, source_options
from pdsearch.data.readers.decode import is_turned
from pdsearch.data.readers.encoded import files_read, pair, read_file, together
from pdsearch.data.registry import RawData
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
LARGEST = 4096

LabelledFiles: TypeAlias = "tuple[tuple[Path, str], ...]"
"""Images as files, in order, each with the name of its class."""


def names_in(folder: Path, hint: str) -> list[Path]:
    """Return the entries of a folder, sorted, without hidden ones.

    Raises:
        DataError: There is no such folder, or a name in it is not UTF-8.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"no readable folder: {error.strerror}", where=str(folder), hint=hint) from error
    for path in found:
        try:
            path.name.encode()
        except UnicodeEncodeError as error:
            what = f"the name {os.fsencode(path.name)!r} is not UTF-8"
            raise DataError(what, where=str(folder), hint="rename it") from error
    return found


def folders_in(folder: Path, hint: str) -> list[Path]:
    """Return the folders in a folder, sorted.

    Raises:
        DataError: There are none.
    """
    found = [path for path in names_in(folder, hint) if path.is_dir()]
    if not found:
        raise DataError("the folder holds no folders of images", where=str(folder), hint=hint)
    return found


def is_image(path: Path) -> bool:
    """Return whether a file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def images_in(folder: Path, hint: str) -> list[Path]:
    """Return the images in a folder, by their suffixes, sorted.

    Raises:
        DataError: There are none.
    """
    found = [path for path in names_in(folder, hint) if is_image(path)]
    if not found:
        raise DataError(f"no image ({', '.join(sorted(SUFFIXES))})", where=str(folder), hint=hint)
    return found


def left_out(root: Path, paths: Sequence[Path]) -> Iterable[str]:
    """Yield notes on files and folders among the images that are not read."""
    for folder, why in (
        (False, "for they are no images"),
        (True, "for images lie in a class's folder itself, not in folders inside it"),
    ):
        names = [path.relative_to(root).as_posix() for path in paths if path.is_dir() == folder]
        if names:
            yield f"left out, {why}: {first_of(names)}"


def hash_of(root: Path, parts: Sequence[LabelledFiles], *, empty: Sequence[str] = ()) -> str:
    """Return the SHA-256 of all files with names, classes and parts, and of whether any has an EXIF rotation.

    Raises:
        DataError: Some files cannot be read; the message names them all.
    """
    content, turned, broken = hashlib.sha256(), False, list[DataError]()
    for part in parts:
        content.update(f"|{len(part)}".encode())
        for path, name in part:
            content.update(f"|{path.relative_to(root).as_posix()}|{name}|".encode())
            try:
                data = read_file(path)
            except DataError as error:
                broken.append(error)
                continue
            content.update(hashlib.sha256(data).digest())
            turned = turned or is_turned(data)
    if broken:
        raise broken[0] if len(broken) == 1 else together(broken, sum(map(len, parts)))
    content.update("".join(f"|empty {name}" for name in empty).encode())
    if turned:
        content.update(b"|upright")  # Earlier versions ignored the orientation: another hash.
    return content.hexdigest()


def as_set(
    train: LabelledFiles,
    test: LabelledFiles,
    classes: Sequence[str],
    side: int | None,
    notes: Iterable[str] = (),
) -> RawData:
    """Return the set, with images decoded when indexed.

    Raises:
        DataError: An image cannot be decoded, or sizes differ and `side` is None.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    images = [(files_read([path for path, _ in part]), len(part)) for part in (train, test)]
    ours, theirs = pair(images[0], images[1], side=side)
    labels = [np.array([numbers[name] for _, name in part], dtype=np.int64) for part in (train, test)]
    return RawData(ours, labels[0], theirs, labels[1], tuple(classes), (*notes, *ours.notes))


def image_size_of(spec: DataSpec, known: Options) -> int | None:
    """Return the option `image_size`: pixels, or None.

    Raises:
        ConfigError: It is not a valid number of pixels, or the source does not know an option.
    """
    value: object = source_options(spec, known).get("image_size")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        hint = f"write a number of pixels from 1 to {LARGEST}"
        raise ConfigError(f"image_size is {value!r}", where="data.options.image_size", hint=hint)
    return value
