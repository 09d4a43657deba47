"""MNIST and the sets of its format: four IDX files each, compressed or not."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.options import DOWNLOAD, may_download, root_of
from pdsearch.data.readers.download import PublishedFile, fetched
from pdsearch.data.readers.regular_files import reading
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
UNSIGNED_BYTES = 8
AGAIN = "remove it and download it again"


@dataclass(frozen=True)
class Idx:
    """60,000 + 10,000 grey images of 28x28, from IDX files in `root`, downloaded if they are missing.

    They lie in `root`/NAME/raw, where torchvision keeps them too. Option: `download`, false to never fetch them.

    Source:
        MNIST: LeCun, Bottou, Bengio, Haffner, 1998; fashion_mnist: Xiao, Rasul, Vollgraf, arXiv 1708.07747;
        kmnist: Clanuwat and others, arXiv 1812.01718.

    Args:
        folder: NAME.
        url: Of the folder of the files.
        sha256: Of each file, in the order of FILES.
        classes: Their names.
    """

    options: ClassVar[Options] = DOWNLOAD
    folder: str
    url: str
    sha256: tuple[str, str, str, str]
    classes: tuple[str, ...]

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of the files' content, whether compressed or not."""
        return hashlib.sha256(
            b"".join(hashlib.sha256(part).digest() for part in self._parts(spec))
        ).hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return images and labels."""
        parts = self._parts(spec)
        arrays = [
            _array(part, 1 if "labels" in name else 3, name) for part, name in zip(parts, FILES, strict=True)
        ]
        train, train_labels, test, test_labels = arrays
        for images, labels, name in ((train, train_labels, FILES[1]), (test, test_labels, FILES[3])):
            if len(images) != len(labels) or len(labels) == 0 or labels.max() >= len(self.classes):
                what = f"labels do not fit {len(images)} images of {len(self.classes)} classes"
                raise DataError(what, where=name, hint="download the files again")
        return RawData(
            train[:, None],
            train_labels.astype(np.int64),
            test[:, None],
            test_labels.astype(np.int64),
            self.classes,
        )

    def _parts(self, spec: DataSpec) -> list[bytes]:
        download, folder = may_download(spec), root_of(spec) / self.folder / "raw"
        remotes = [
            PublishedFile(self.url + name, sha256) for name, sha256 in zip(FILES, self.sha256, strict=True)
        ]
        return [_content(remote, folder, download=download) for remote in remotes]


def _content(remote: PublishedFile, folder: Path, *, download: bool) -> bytes:
    plain = folder / remote.name.removesuffix(".gz")
    if plain.is_file() and not (folder / remote.name).is_file():
        with reading(plain, AGAIN):
            return plain.read_bytes()
    path = fetched(remote, folder, download=download)
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"no readable gzip file: {error}", where=str(path), hint=AGAIN) from error


def _array(content: bytes, dimensions: int, where: str) -> NDArray[np.uint8]:
    """Return the array of an IDX file: two zeros, the type, the number of dimensions, the dimensions, the values."""
    start = 4 + 4 * dimensions
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], dtype=">u4"))
    right = content[:4] == bytes([0, 0, UNSIGNED_BYTES, dimensions]) and len(shape) == dimensions
    if not right or len(content) - start != int(np.prod(shape)):
        raise DataError("no IDX file of bytes", where=where, hint=AGAIN)
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


sources.add("mnist")(
    Idx(
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        tuple("0123456789"),
    )
)
sources.add("fashion_mnist")(
    Idx(
        "FashionMNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        (
            *("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker"),
            *("bag", "ankle boot"),
        ),
    )
)
sources.add("kmnist")(
    Idx(
        "KMNIST",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    )
)
