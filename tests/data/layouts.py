"""Small sets on disk, one of every layout that a source reads, for tests that find the sources by themselves."""

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from scipy.io import savemat

from pdsearch.data import Images, RawData
from pdsearch.data.dataset.dataset import Dataset, from_tensors, store, to_meta
from pdsearch.data.registry import sources
from pdsearch.data.sources.cifar import Cifar
from pdsearch.data.sources.idx import FILES, Idx
from pdsearch.data.sources.stl10 import CLASSES
from pdsearch.data.sources.stl10 import FILES as STL10_FILES
from pdsearch.specs import DataSpec


def laid_out(name: str, root: Path) -> DataSpec:
    """Write a set for a source and return where it lies."""
    return LAYOUTS[name](name, root)


def whole(images: Images) -> NDArray[np.uint8]:
    """All images of a set."""
    return images[np.arange(len(images))]


def prepared(raw: RawData, spec: DataSpec) -> Dataset:
    """Return a set as a study stores it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "set"
        store(raw, spec, file)
        return from_tensors(load_file(file), to_meta(raw.classes, raw.notes), crop=spec.crop)


def pixels(count: int, channels: int, side: int) -> NDArray[np.uint8]:
    """Images of random pixels, the same at every call."""
    return np.random.default_rng(count).integers(0, 256, (count, channels, side, side), dtype=np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    """An image (C, H, W) as PNG."""
    stream = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(stream, format="PNG")
    return stream.getvalue()


def tar(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a compressed archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def idx(array: NDArray[np.uint8]) -> bytes:
    """An array in the IDX format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def _digits(name: str, root: Path) -> DataSpec:  # noqa: ARG001 - needs no file
    return DataSpec(source=name)


def _cifar(name: str, root: Path) -> DataSpec:
    source = sources.get(name)
    assert isinstance(source, Cifar)
    labels = {1: [[0], [2], [1]], 2: [[9, 0], [9, 2], [9, 1]]}[source.label_bytes]
    rows = np.hstack([np.array(labels, dtype=np.uint8), pixels(3, 3, 32).reshape(3, -1)])
    files = {f"{source.folder}/{file}": rows.tobytes() for file in (*source.train, *source.test)}
    tar(root / source.archive.name, {**files, f"{source.folder}/{source.names}": b"cat\ndog\nowl\n\n"})
    return DataSpec(source=name, root=str(root))


def _idx(name: str, root: Path) -> DataSpec:
    source = sources.get(name)
    assert isinstance(source, Idx)
    images, labels = pixels(4, 1, 28)[:, 0], np.array([3, 9, 0, 3], dtype=np.uint8)
    for file, array in zip(FILES, (images, labels, images[:2], labels[:2]), strict=True):
        path = root / source.folder / "raw" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(idx(array)))
    return DataSpec(source=name, root=str(root))


def _svhn(name: str, root: Path) -> DataSpec:
    for part in ("train", "test"):
        content = {"X": pixels(3, 3, 32).transpose(2, 3, 1, 0), "y": np.array([[10], [1], [9]], np.uint8)}
        savemat(root / f"{part}_32x32.mat", content)
    return DataSpec(source=name, root=str(root))


def _stl10(name: str, root: Path) -> DataSpec:
    images = pixels(2, 3, 96).transpose(0, 1, 3, 2).tobytes()
    content = [images, bytes([len(CLASSES), 1])] * 2
    tar(
        root / "stl10_binary.tar.gz",
        {f"stl10_binary/{file}": part for file, part in zip(STL10_FILES, content, strict=True)},
    )
    return DataSpec(source=name, root=str(root))


def _parquet(name: str, root: Path) -> DataSpec:
    for part in ("train", "test"):
        rows = pa.array([{"bytes": png(image), "path": None} for image in pixels(4, 3, 8)])
        table = pa.table({"img": rows, "label": [0, 1, 0, 1]})
        pq.write_table(table, root / f"{part}.parquet", row_group_size=3)
    return DataSpec(source=name, root=str(root))


def _npz(name: str, root: Path) -> DataSpec:
    x, y = pixels(4, 3, 8), np.array([0, 1, 0, 1])
    np.savez(root / "set.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2], classes=np.array(["a", "b"]))
    return DataSpec(source=name, root=str(root / "set.npz"))


def _image_folder(name: str, root: Path) -> DataSpec:
    for part in ("train", "val"):
        for number, image in enumerate(pixels(4, 3, 8)):
            path = root / part / ("cat", "dog")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(image))
    return DataSpec(source=name, root=str(root))


def _tiny_imagenet(name: str, root: Path) -> DataSpec:
    lines = []
    for number, image in enumerate(pixels(4, 3, 8)):
        kind = ("n01", "n02")[number % 2]
        for path in (
            root / "train" / kind / "images" / f"{number}.png",
            root / "val/images" / f"{number}.png",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(image))
        lines.append(f"{number}.png\t{kind}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    return DataSpec(source=name, root=str(root))


def made_set(root: str, count: int = 4) -> RawData:
    """What a user's function may return."""
    labels = np.arange(count, dtype=np.int64) % 2
    return RawData(pixels(count, 3, 8), labels, pixels(2, 3, 8), labels[:2], (Path(root).name, "other"))


def _callable(name: str, root: Path) -> DataSpec:
    return DataSpec(source=name, root=str(root), options=(("function", "tests.data.layouts:made_set"),))


LAYOUTS: Mapping[str, Callable[[str, Path], DataSpec]] = {
    "callable": _callable,
    "cifar10": _cifar,
    "cifar100": _cifar,
    "digits": _digits,
    "fashion_mnist": _idx,
    "image_folder": _image_folder,
    "kmnist": _idx,
    "mnist": _idx,
    "npz": _npz,
    "parquet": _parquet,
    "stl10": _stl10,
    "svhn": _svhn,
    "tiny_imagenet": _tiny_imagenet,
}
