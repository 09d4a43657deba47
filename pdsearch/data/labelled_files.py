"""How do files of images with labels become a set? Listed, hashed, and decoded when asked for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdsearch.data.encoded import files_read, pair
from pdsearch.data.registry import RawData
from pdsearch.errors import ConfigError, DataError

__all__ = ["LabelledFiles", "as_set", "folders_in", "hash_of", "image_size_of", "images_in", "names_in"]

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
LARGEST = 4096


@dataclass(frozen=True)
class LabelledFiles:
    """Images as files, in order, each with the name of its class."""

    files: tuple[Path, ...]
    classes: tuple[str, ...]


def names_in(folder: Path, hint: str) -> list[Path]:
    """Return what lies in a folder, sorted, without what is hidden.

    Raises:
        DataError: There is no such folder.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"no readable folder: {error.strerror}", where=str(folder), hint=hint) from error


def folders_in(folder: Path, hint: str) -> list[Path]:
    """Return the folders in a folder, sorted.

    Raises:
        DataError: There are none.
    """
    found = [path for path in names_in(folder, hint) if path.is_dir()]
    if not found:
        raise DataError("the folder holds no folders of images", where=str(folder), hint=hint)
    return found


def images_in(folder: Path, hint: str) -> list[Path]:
    """Return the images in a folder, by their suffixes, sorted.

    Raises:
        DataError: There are none.
    """
    found = [path for path in names_in(folder, hint) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(f"no image ({', '.join(sorted(SUFFIXES))})", where=str(folder), hint=hint)
    return found


def hash_of(root: Path, parts: Sequence[LabelledFiles]) -> str:
    """Return the SHA-256 of all files with their names, classes and parts.

    Raises:
        DataError: A file cannot be read.
    """
    content = hashlib.sha256()
    for part in parts:
        content.update(f"|{len(part.files)}".encode())
        for path, name in zip(part.files, part.classes, strict=True):
            content.update(f"|{path.relative_to(root).as_posix()}|{name}|".encode())
            try:
                with path.open("rb") as stream:
                    content.update(hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return content.hexdigest()


def as_set(train: LabelledFiles, test: LabelledFiles, classes: Sequence[str], side: int | None) -> RawData:
    """Return the set, its images decoded when asked for.

    Raises:
        DataError: An image is none, or the sizes of two differ where none is given.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    images = [(files_read(part.files), len(part.files)) for part in (train, test)]
    ours, theirs = pair(images[0], images[1], side=side)
    labels = [np.array([numbers[name] for name in part.classes], dtype=np.int64) for part in (train, test)]
    return RawData(ours, labels[0], theirs, labels[1], tuple(classes))


def image_size_of(value: object) -> int | None:
    """Return the option `image_size`: pixels, or None.

    Raises:
        ConfigError: It is no such number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
        hint = f"write a number of pixels from 1 to {LARGEST}"
        raise ConfigError(f"image_size is {value!r}", where="data.options.image_size", hint=hint)
    return value
