"""Street-view house numbers (SVHN): two MATLAB files of cropped digits."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.options import DOWNLOAD, may_download, root_of
from pdsearch.data.readers.download import PublishedFile, fetched
from pdsearch.data.readers.regular_files import digest_of
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

AGAIN = "remove it and download it again"


@dataclass(frozen=True)
class Svhn:
    """73,257 + 26,032 colour images of 32x32, from MATLAB files in `root`, downloaded if they are missing.

    Option: `download`, false to never fetch them. The extra set is not used.

    Source:
        Netzer and others, "Reading digits in natural images with unsupervised feature learning", 2011.

    Args:
        train: The published file of training images.
        test: Likewise of test images.
    """

    options: ClassVar[Options] = DOWNLOAD
    train: PublishedFile
    test: PublishedFile

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of both files."""
        hashes = (digest_of(path, AGAIN) for path in self._files(spec))
        return hashlib.sha256(b"".join(hashes)).hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return images and labels."""
        train, test = (_read(path) for path in self._files(spec))
        return RawData(*train, *test, tuple("0123456789"))

    def _files(self, spec: DataSpec) -> list[Path]:
        download, root = may_download(spec), root_of(spec)
        return [fetched(remote, root, download=download) for remote in (self.train, self.test)]


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _loaded(path)
    images, labels = content.get("X"), content.get("y")
    if images is None or labels is None or images.ndim != 4 or images.dtype != np.uint8:
        raise DataError("no images X with labels y", where=str(path), hint=AGAIN)
    if labels.size != images.shape[3] or labels.min() < 1 or labels.max() > 10:
        raise DataError(f"labels do not fit {images.shape[3]} images", where=str(path), hint=AGAIN)
    # Stored as height, width, channel, image; the digit 0 has the label 10.
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels.ravel().astype(np.int64) % 10


def _loaded(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat  # Imported here: a fingerprint does not need it.

    try:
        content: dict[str, Any] = loadmat(path, variable_names=("X", "y"))
    except Exception as error:  # The exceptions of a damaged file are not documented.
        raise DataError(f"no readable MATLAB file: {error}", where=str(path), hint=AGAIN) from error
    return content


_AT = "http://ufldl.stanford.edu/housenumbers/"

sources.add("svhn")(
    Svhn(
        PublishedFile(
            f"{_AT}train_32x32.mat", "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"
        ),
        PublishedFile(
            f"{_AT}test_32x32.mat", "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"
        ),
    )
)
