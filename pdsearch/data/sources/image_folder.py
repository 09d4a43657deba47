"""How are images read from folders? One folder per class, under one folder per split."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pdsearch.data.labelled_files import LabelledFiles, as_set, folders_in, hash_of, image_size_of, images_in
from pdsearch.data.options import root_of, source_options
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.options import Options
from pdsearch.specs import DataSpec

__all__ = ["ImageFolder"]

OPTIONS = Options({"image_size": int, "test": str})
HINT = "expected ROOT/train/CLASS/IMAGE and ROOT/test/CLASS/IMAGE (or val for test)"


@dataclass(frozen=True)
class ImageFolder:
    """Images (JPEG, PNG, BMP, WebP) in `root`/train/CLASS and `root`/test/CLASS, or val where there is no test.

    Options: `image_size`, to which each is resized by its shorter side and cropped at the centre, without it all
    have to be square and of one size; `test`, the name of the folder to test on.

    Source:
        The layout of torchvision's ImageFolder.
    """

    options: ClassVar[Options] = OPTIONS

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of all files with their classes."""
        return hash_of(root_of(spec), _parts(spec))

    def read(self, spec: DataSpec) -> RawData:
        """Return the set, its images decoded when asked for."""
        train, test = _parts(spec)
        return as_set(
            train, test, sorted(set(train.classes)), image_size_of(_options(spec).get("image_size"))
        )


def _options(spec: DataSpec) -> dict[str, object]:
    return source_options(spec, OPTIONS)


def _parts(spec: DataSpec) -> tuple[LabelledFiles, LabelledFiles]:
    root = root_of(spec)
    options = _options(spec)
    image_size_of(options.get("image_size"))
    usual = "test" if (root / "test").is_dir() else "val"
    train, test = _part(root / "train"), _part(root / str(options.get("test", usual)))
    for path, name in zip(test.files, test.classes, strict=True):
        if name not in train.classes:
            raise DataError(f"no training image is of the class {name}", where=str(path.parent), hint=HINT)
    return train, test


def _part(folder: Path) -> LabelledFiles:
    found = [(path, kind.name) for kind in folders_in(folder, HINT) for path in images_in(kind, HINT)]
    return LabelledFiles(tuple(path for path, _ in found), tuple(name for _, name in found))


sources.add("image_folder")(ImageFolder())
