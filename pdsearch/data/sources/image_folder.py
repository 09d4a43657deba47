"""Data source `image_folder`: one folder per class, inside one folder per split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pdsearch.data.options import cut_for_test, first_of, not_read, root_of, source_options
from pdsearch.data.readers.labelled_files import (
    LabelledFiles,
    as_set,
    folders_in,
    hash_of,
    image_size_of,
    images_in,
    is_image,
    left_out,
    names_in,
)
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

OPTIONS = Options({"image_size": int, "test": str})
HINT = "expected ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE (or val for test)"
TRAIN = "train"
TESTS = ("test", "val")


@dataclass(frozen=True)
class ImageFolder:
    """Images (JPEG, PNG, TIFF, GIF, BMP, WebP, PPM) in `root`/train/CLASS and `root`/test/CLASS, or val for test.

    Where there is neither test nor val, `data.test_fraction` cuts test images off; the classes may then lie in `root`
    itself. Options: `image_size`, to which each is resized by its shorter side and cropped at the centre, without it
    all have to be square and of one size; `test`, the name of the folder to test on.

    Source:
        The layout of torchvision's ImageFolder.
    """

    options: ClassVar[Options] = OPTIONS

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of all files with their classes."""
        root, train, test = _parts(spec)
        return hash_of(root, [train.images, test.images], empty=train.empty)

    def read(self, spec: DataSpec) -> RawData:
        """Return the set, with images decoded when indexed."""
        root, train, test = _parts(spec)
        classes = sorted({*(name for _, name in train.images), *train.empty})
        notes = [*left_out(root, sorted([*train.others, *test.others])), *_unread(root, [train, test])]
        return as_set(train.images, test.images, classes, image_size_of(spec, OPTIONS), notes)


@dataclass(frozen=True)
class _Part:
    """The folder of one split: images, classes without images, and entries that are not read."""

    folder: Path | None = None
    images: LabelledFiles = ()
    empty: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()


def _parts(spec: DataSpec) -> tuple[Path, _Part, _Part]:
    root, named = root_of(spec), source_options(spec, OPTIONS).get("test")
    image_size_of(spec, OPTIONS)
    names_in(root, HINT)  # A folder that is not there is no set without test images.
    there = [root / name for name in ([str(named)] if named else TESTS) if named or (root / name).is_dir()]
    if cut_for_test(spec, has_test=bool(there), where=str(root), hint=_other_parts(root)):
        return root, _part(_classes_in(root)), _Part()
    train, test = _part(root / TRAIN), _part(there[0])
    known = {name for _, name in train.images}
    for path, name in test.images:
        if name not in known:
            raise DataError(f"no training image is of the class {name}", where=str(path.parent), hint=HINT)
    return root, train, test


def _other_parts(root: Path) -> str:
    """Return a hint on how test images are named, and which folder might hold some."""
    others = sorted(path.name for path in root.glob("*") if path.is_dir() and path.name != TRAIN)
    if not others:
        return HINT
    if not (root / TRAIN).is_dir():
        return f"{HINT}; it holds {first_of(others)}"
    return f"{HINT}; data.options.test names another folder ({first_of(others)})"


def _classes_in(root: Path) -> Path:
    """Return the folder of the class folders of a set without test images: ROOT/train, else ROOT itself."""
    if (root / TRAIN).is_dir():
        return root / TRAIN
    return root if any(map(is_image, root.glob("*/*"))) else root / TRAIN


def _part(folder: Path) -> _Part:
    found: list[tuple[Path, str]] = []
    empty, others = [], [path for path in names_in(folder, HINT) if not path.is_dir()]
    for kind in folders_in(folder, HINT):
        inside = names_in(kind, HINT)
        if not inside:
            empty.append(kind.name)
            continue
        found += [(path, kind.name) for path in images_in(kind, HINT)]
        others += [path for path in inside if not is_image(path)]
    if not found:
        raise DataError("the folder holds no images", where=str(folder), hint=HINT)
    return _Part(folder, tuple(found), tuple(empty), tuple(others))


def _unread(root: Path, parts: Sequence[_Part]) -> Iterable[str]:
    """Yield a note on folders that are not read."""
    read = [part.folder for part in parts]
    if root not in read:
        yield from not_read([p.name for p in names_in(root, HINT) if p.is_dir() and p not in read])


sources.add("image_folder")(ImageFolder())
