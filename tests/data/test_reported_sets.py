"""Sets of the kinds that people report trouble with are read right, or refused, and what surprises is said."""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pdsearch.data.dataset.composition import contents
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.registry import sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import prepared

SIDE = 8
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
draws = np.random.default_rng(0)


def image(label: int = 0, mode: str = "RGB") -> Image.Image:
    """An image of its own; its left or right half is bright, as the label says."""
    values = draws.integers(0, 60, (SIDE, SIDE, 3))
    values[:, 4 * (label % 2) : 4 * (label % 2) + 4] += 150
    if mode == "I;16":
        return Image.fromarray((values[..., 0] * 300).astype(np.uint16))
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def encoded(label: int) -> bytes:
    stream = io.BytesIO()
    image(label).save(stream, "PNG")
    return stream.getvalue()


def table(root: Path, of: Callable[[Any], Any], packed: bool = True, **more: Any) -> DataSpec:
    """Parquet files with labels that are a function of 0 to 3."""
    for part, count in (("train", 40), ("test", 12)):
        numbers = np.arange(count) % 4
        rows = [encoded(int(number)) for number in numbers]
        images = (
            pa.array([{"bytes": row, "path": None} for row in rows], STRUCT) if packed else pa.array(rows)
        )
        columns = {name: pa.array([value] * count) for name, value in more.items()}
        labels = pa.array([of(int(number)) for number in numbers])
        pq.write_table(pa.table({"image": images, "label": labels, **columns}), root / f"{part}.parquet")
    return DataSpec("parquet", root=str(root))


def folder(
    root: Path, per: Mapping[str, int], suffix: str = "png", mode: str = "RGB", tested: int = 3
) -> DataSpec:
    for part in ("train", "test")[: 1 + bool(tested)]:
        for number, (name, count) in enumerate(per.items()):
            (root / part / name).mkdir(parents=True)
            for position in range(count if part == "train" else tested):
                image(number, mode).save(root / part / name / f"{position}.{suffix}")
    return DataSpec("image_folder", root=str(root))


def turned(root: Path) -> DataSpec:
    """Test images stored upside down, with the note of their orientation."""
    spec, exif = folder(root, {"left": 10, "right": 10}), Image.Exif()
    exif[0x0112] = 3
    for path in (root / "test").glob("*/*"):
        Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path, exif=exif)
    return spec


FOUR = dict.fromkeys("abcd", 10)
WORDS = "36 training, 4 validation, 12 test images of uint8 (3, 8, 8), 4 classes (w0, w1, w2, w3)"
NUMBERS = "36 training, 4 validation, 12 test images of uint8 (3, 8, 8), 4 classes (0, 1, 2, 3)"
LETTERS = "36 training, 4 validation, 12 test images of uint8 (3, 8, 8), 4 classes (a, b, c, d)"

READ: dict[str, tuple[Callable[[Path], DataSpec], str, tuple[str, ...]]] = {
    "a width beside words": (lambda root: table(root, "w{}".format, width=16), WORDS, ()),
    "words": (lambda root: table(root, "w{}".format), WORDS, ()),
    "truth": (
        lambda root: table(root, lambda n: n % 2 == 1),
        NUMBERS.replace("4 classes (0, 1, 2, 3)", "2 classes (false, true)"),
        (),
    ),
    "bytes": (lambda root: table(root, int, packed=False), NUMBERS, ()),
    "gaps": (
        lambda root: table(root, lambda n: 10 * n),
        NUMBERS.replace("0, 1, 2, 3", "0, 10, 20, 30"),
        ("labels are the numbers 0, 10, 20, 30: 4 classes of these names",),
    ),
    "one class": (
        lambda root: table(root, lambda _: 0),
        NUMBERS.replace("4 classes (0, 1, 2, 3)", "1 class (0)"),
        ("all images are of one class, 0: there is nothing to learn",),
    ),
    "imbalance": (
        lambda root: folder(root, {"a": 60, "b": 3, "c": 1, "d": 2}),
        LETTERS.replace("36 training, 4", "59 training, 7"),
        ("1 of 4 classes has a single training image: c", "3 of 4 classes have no validation image: b, c, d"),
    ),
    "16 bits": (lambda root: folder(root, FOUR, mode="I;16"), LETTERS.replace("(3,", "(1,"), ()),
    "tiff": (lambda root: folder(root, FOUR, "tif"), LETTERS, ()),
    "gif": (lambda root: folder(root, FOUR, "gif"), LETTERS, ()),
    "no test images": (
        lambda root: replace(folder(root, FOUR, tested=0), test_fraction=0.2),
        LETTERS.replace("36 training, 4 validation, 12", "29 training, 3 validation, 8"),
        ("1 of 4 classes has no validation image: d",),
    ),
}


def stored(spec: DataSpec) -> Dataset:
    source = sources.get(spec.source)
    return prepared(source.read(replace(spec, fingerprint=source.fingerprint(spec))), spec)


@pytest.mark.parametrize("kind", READ)
def test_what_is_read_and_noted(kind: str, tmp_path: Path) -> None:
    write, counts, notes = READ[kind]
    found = contents(stored(replace(write(tmp_path), val_fraction=0.1)))
    assert found.counts == counts
    assert tuple(note for note in found.notes if "points of accuracy" not in note) == notes


def test_images_are_upright(tmp_path: Path) -> None:
    data = stored(turned(tmp_path))
    for split in (data.train, data.test):
        halves = split.images.float().mean((1, 2)).view(-1, 2, 4).mean(2)
        assert halves.argmax(1).tolist() == split.labels.tolist()


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (
            lambda root: table(root, lambda n: n + 10**9),
            r"train\.parquet, row 0: label 1000000000 is no class",
        ),
        (lambda root: folder(root, FOUR, tested=0), r"no test images\n.*set data\.test_fraction"),
    ],
)
def test_what_is_refused(write: Callable[[Path], DataSpec], why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        stored(write(tmp_path))
