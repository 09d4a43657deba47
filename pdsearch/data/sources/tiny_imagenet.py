"""Tiny-ImageNet in its unpacked layout: training images by class folder, validation images by a list."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pdsearch.data.options import root_of
from pdsearch.data.readers.labelled_files import (
    LabelledFiles,
    as_set,
    folders_in,
    hash_of,
    image_size_of,
    images_in,
)
from pdsearch.data.readers.regular_files import reading
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.io.durable import read_regular
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

OPTIONS = Options({"image_size": int})
HINT = "unpack tiny-imagenet-200.zip there: train/CLASS/images, val/val_annotations.txt, val/images"


@dataclass(frozen=True)
class TinyImagenet:
    """100,000 + 10,000 colour images of 64x64 in 200 classes; tested on val, since test has no labels.

    `root` is tiny-imagenet-200 or the folder that holds it. Option: `image_size`, as for image_folder.

    Source:
        Le, Yang, "Tiny ImageNet visual recognition challenge", 2015; a part of ImageNet.
    """

    options: ClassVar[Options] = OPTIONS

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of all files with their classes."""
        return hash_of(_root(spec), _parts(spec))

    def read(self, spec: DataSpec) -> RawData:
        """Return the set, with images decoded when indexed."""
        train, test = _parts(spec)
        return as_set(train, test, sorted({name for _, name in train}), image_size_of(spec, OPTIONS))


def _root(spec: DataSpec) -> Path:
    root = root_of(spec)
    inner = root / "tiny-imagenet-200"
    return inner if inner.is_dir() else root


def _parts(spec: DataSpec) -> tuple[LabelledFiles, LabelledFiles]:
    image_size_of(spec, OPTIONS)
    root = _root(spec)
    train = tuple(
        (path, kind.name)
        for kind in folders_in(root / "train", HINT)
        for path in images_in(kind / "images", HINT)
    )
    return train, _validation(root / "val", frozenset(name for _, name in train))


def _validation(folder: Path, classes: frozenset[str]) -> LabelledFiles:
    listing = folder / "val_annotations.txt"
    with reading(listing, HINT):
        content = read_regular(listing)
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"cannot be read: {error}", where=str(listing), hint=HINT) from error
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    for number, row in rows:
        if len(row) < 2 or row[1] not in classes or Path(row[0]).name != row[0]:
            what = "expected the name of an image, a tab, and one of the classes"
            raise DataError(what, where=f"{listing}, line {number}", hint=HINT)
    if not rows:
        raise DataError("the list is empty", where=str(listing), hint=HINT)
    return tuple((folder / "images" / row[0], row[1]) for _, row in rows)


sources.add("tiny_imagenet")(TinyImagenet())
