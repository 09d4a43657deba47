"""CIFAR-10 and CIFAR-100 from their binary archives: the pickled ones are never read."""

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

SIDE = 32
PIXELS = 3 * SIDE * SIDE
PUBLISHED = (50_000, 10_000)
"""Training and test images of either set."""


@dataclass(frozen=True)
class Cifar:
    """50,000 + 10,000 colour images of 32x32, from the binary archive in `root`, downloaded if it is missing.

    Option: `download`, false to never fetch it. CIFAR-100 has its 100 fine labels.

    Source:
        Krizhevsky, "Learning multiple layers of features from tiny images", 2009.

    Args:
        archive: The published archive.
        folder: Inside it.
        train: Files of training images, in order.
        test: Files of test images.
        names: File of the classes' names, one a line.
        label_bytes: Before each image; the last one is the label.
    """

    options: ClassVar[Options] = DOWNLOAD
    archive: PublishedFile
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of all files read, whether packed or not."""
        found = self._files(spec)
        hashes = "|".join(f"{name}:{hashlib.sha256(found[name]).hexdigest()}" for name in sorted(found))
        return hashlib.sha256(hashes.encode()).hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return images and labels."""
        found = self._files(spec)
        classes = tuple(found[self.names].decode("utf-8", "replace").split())
        (train, train_labels), (test, test_labels) = (
            map(
                np.concatenate,
                zip(*(self._images(found[name], classes, name) for name in names), strict=True),
            )
            for names in (self.train, self.test)
        )
        counts = (len(train), len(test))
        whole = f"{PUBLISHED[0]:,} training and {PUBLISHED[1]:,} test images"
        notes = [] if counts == PUBLISHED else [f"the set is not whole: as published it has {whole}"]
        if [*classes] != sorted(classes):
            order = "labels are read as positions in it, and those of the published images are in alphabetical order"
            notes.append(f"{self.names} lists the classes in another order than the published one: {order}")
        return RawData(train, train_labels, test, test_labels, classes, tuple(notes))

    def _files(self, spec: DataSpec) -> dict[str, bytes]:
        download, root = may_download(spec), root_of(spec)
        names = (*self.train, *self.test, self.names)
        found = members(self.archive, root, self.folder, names, download=download)
        for name in (*self.train, *self.test):
            if not found[name] or len(found[name]) % (self.label_bytes + PIXELS):
                what = f"{len(found[name])} bytes are no whole number of images"
                hint = f"download {self.archive.url} again; the python version is another format"
                raise DataError(what, where=f"{root / self.folder / name}", hint=hint)
        return found

    def _images(
        self, content: bytes, classes: tuple[str, ...], where: str
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, self.label_bytes + PIXELS)
        labels = rows[:, self.label_bytes - 1].astype(np.int64)
        if labels.max() >= len(classes):
            what = f"label {labels.max()} of {len(classes)} classes, by {self.names}"
            raise DataError(what, where=f"{self.folder}/{where}", hint=f"download {self.archive.url} again")
        return rows[:, self.label_bytes :].reshape(-1, 3, SIDE, SIDE), labels


_AT = "https://www.cs.toronto.edu/~kriz/"

sources.add("cifar10")(
    Cifar(
        archive=PublishedFile(
            f"{_AT}cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        ),
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        test=("test_batch.bin",),
        names="batches.meta.txt",
        label_bytes=1,
    )
)
sources.add("cifar100")(
    Cifar(
        archive=PublishedFile(
            f"{_AT}cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ),
        folder="cifar-100-binary",
        train=("train.bin",),
        test=("test.bin",),
        names="fine_label_names.txt",
        label_bytes=2,
    )
)
