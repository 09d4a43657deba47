"""STL-10 from its binary archive; the unlabelled images are not read."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.options import DOWNLOAD, may_download, root_of
from pdsearch.data.readers.download import PublishedFile, members
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

SIDE = 96
FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
FOLDER = "stl10_binary"


@dataclass(frozen=True)
class Stl10:
    """5,000 + 8,000 colour images of 96x96, from the archive of 2.6 GB in `root`, downloaded if it is missing.

    Option: `download`, false to never fetch it. Unpacked, it is read faster.

    Source:
        Coates, Lee, Ng, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011.

    Args:
        archive: The published archive.
    """

    options: ClassVar[Options] = DOWNLOAD
    archive: PublishedFile

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of the files read, whether packed or not."""
        parts = self._files(spec)
        return hashlib.sha256(b"".join(hashlib.sha256(parts[name]).digest() for name in FILES)).hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return images and labels."""
        parts = self._files(spec)
        train, test = (_images(parts[x], parts[y], y) for x, y in (FILES[:2], FILES[2:]))
        return RawData(*train, *test, CLASSES)

    def _files(self, spec: DataSpec) -> dict[str, bytes]:
        download, root = may_download(spec), root_of(spec)
        return members(self.archive, root, FOLDER, FILES, download=download)


def _images(pixels: bytes, labels: bytes, where: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    found = np.frombuffer(labels, dtype=np.uint8).astype(np.int64) - 1
    right = len(found) > 0 and len(pixels) == len(found) * 3 * SIDE**2
    if not right or found.min() < 0 or found.max() >= len(CLASSES):
        what = f"{len(found)} labels do not fit {len(pixels)} bytes of images"
        raise DataError(what, where=f"{FOLDER}/{where}", hint="download the archive again")
    # Stored in column-major order.
    return np.frombuffer(pixels, dtype=np.uint8).reshape(-1, 3, SIDE, SIDE).transpose(0, 1, 3, 2), found


sources.add("stl10")(
    Stl10(
        PublishedFile(
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
        )
    )
)
