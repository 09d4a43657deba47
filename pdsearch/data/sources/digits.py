"""scikit-learn's handwritten digits, 1,797 images of 8x8: a set that needs no file."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.options import source_options
from pdsearch.data.registry import RawData, sources
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

TEST_PER_CLASS = 45


@dataclass(frozen=True)
class Digits:
    """1,347 + 450 grey images of 8x8 that come with scikit-learn, values 0 to 16 as they are; no file is needed.

    The test set is fixed: 45 images of each class, evenly spaced in the order of the file.

    Source:
        Alpaydin, Kaynak, "Optical recognition of handwritten digits", UCI, 1998.
    """

    options: ClassVar[Options] = Options()

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of all images, labels and the rule of the split."""
        source_options(spec, self.options)
        images, labels = _load()
        content = images.tobytes() + labels.tobytes() + f"test:{TEST_PER_CLASS}".encode()
        return hashlib.sha256(content).hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return 1,347 images for training and 450 for testing."""
        source_options(spec, self.options)
        images, labels = _load()
        test = _spread(labels)
        return RawData(
            train_images=images[~test],
            train_labels=labels[~test],
            test_images=images[test],
            test_labels=labels[test],
            classes=tuple(str(digit) for digit in range(10)),
        )


def _load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    file = _file()
    if file is None:
        from sklearn.datasets import load_digits  # As slow to import as torch, in every process.

        pixels, labels = load_digits(return_X_y=True)
        return pixels.astype(np.uint8).reshape(-1, 1, 8, 8), labels.astype(np.int64)
    with gzip.open(file, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.int64)
    return table[:, :-1].astype(np.uint8).reshape(-1, 1, 8, 8), table[:, -1]


def _file() -> Path | None:
    """Return scikit-learn's file of the digits, found without importing it; None if it is not where expected."""
    package = find_spec("sklearn")
    folders = (package.submodule_search_locations or []) if package else []
    file = Path(*folders[:1], "datasets", "data", "digits.csv.gz")
    return file if file.exists() else None


def _spread(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for digit in range(10):
        of_class = np.flatnonzero(labels == digit)
        chosen[of_class[np.arange(TEST_PER_CLASS) * len(of_class) // TEST_PER_CLASS]] = True
    return chosen


sources.add("digits")(Digits())
