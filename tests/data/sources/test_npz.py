"""Arrays of an .npz file are found by usual names, read by their type, and never unpickled."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdsearch.data.registry import RawData, sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import pixels, prepared, whole

SOURCE = sources.get("npz")
LABELS = np.arange(12) % 3
ROWS = np.random.default_rng(0).normal(size=(12, 5))


def spec(root: Path, **options: str) -> DataSpec:
    return DataSpec("npz", root=str(root), options=tuple(sorted(options.items())), val_fraction=0.25)


def saved(folder: Path, *, compress: bool = False, **arrays: Any) -> DataSpec:
    (np.savez_compressed if compress else np.savez)(folder / "set.npz", **arrays)
    return spec(folder / "set.npz")


def read(folder: Path, **arrays: Any) -> RawData:
    return SOURCE.read(saved(folder, **arrays))


@pytest.mark.parametrize(
    ("x", "y", "tested"),
    [
        ("x_train", "y_train", ("x_test", "y_test")),
        ("X_train", "y_train", ("X_test", "y_test")),
        ("train_images", "train_labels", ("test_images", "test_labels")),
        ("data", "target", ()),
        ("X", "y", ()),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_arrays_are_found_by_usual_names(
    x: str, y: str, tested: tuple[str, ...], compress: bool, tmp_path: Path
) -> None:
    arrays = {x: ROWS, y: LABELS} | dict(zip(tested, (ROWS[:6], LABELS[:6]), strict=False))
    named = saved(tmp_path, compress=compress, **arrays)
    raw = SOURCE.read(replace(named, test_fraction=0.0 if tested else 0.5))
    assert (str(raw.inputs), raw.classes) == ("float32 (5,)", ("0", "1", "2"))
    assert np.array_equal(whole(raw.train_images), ROWS.astype(np.float32))
    assert len(raw.test_labels) == (6 if tested else 0)
    data = prepared(raw, replace(named, test_fraction=0.0 if tested else 0.5))
    assert (len(data.test), data.mean.shape) == (6, (5,))


@pytest.mark.parametrize(
    ("x", "shape", "note"),
    [
        (pixels(12, 1, 8)[:, 0], "uint8 (1, 8, 8)", None),
        (pixels(12, 3, 8), "uint8 (3, 8, 8)", None),
        (pixels(12, 3, 8).transpose(0, 2, 3, 1), "uint8 (3, 8, 8)", "channels last"),
        (pixels(12, 3, 8).astype(np.int64), "float32 (3, 8, 8)", None),
        (pixels(12, 3, 8).transpose(0, 2, 3, 1) / 255, "float32 (8, 8, 3)", "move the last axis"),
        (pixels(12, 1, 8)[:, 0, 0], "float32 (8,)", None),
        (ROWS.reshape(12, 1, 5), "float32 (1, 5)", None),
        (np.asfortranarray(ROWS).astype(">f8"), "float32 (5,)", None),
        (ROWS[:, 0] > 0, "float32 (1,)", None),
    ],
)
def test_bytes_are_images_and_all_else_is_float32(
    x: Any, shape: str, note: str | None, tmp_path: Path
) -> None:
    raw = read(tmp_path, x_train=x, y_train=LABELS, x_test=x[:3], y_test=LABELS[:3])
    assert str(raw.inputs) == shape
    found, wanted = whole(raw.train_images), x if note != "channels last" else x.transpose(0, 3, 1, 2)
    assert np.array_equal(found, wanted.astype(found.dtype).reshape(found.shape))
    assert len(raw.notes) == bool(note)
    assert (note or "") in "".join(raw.notes)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (LABELS[:, None].astype(np.uint8), ("0", "1", "2")),
        (LABELS.astype(np.float32), ("0", "1", "2")),
        (np.eye(3)[LABELS], ("0", "1", "2")),
        (np.array(["cat", "dog", "owl"])[LABELS], ("cat", "dog", "owl")),
        (np.array([b"cat", b"dog", b"owl"])[LABELS], ("cat", "dog", "owl")),
        (LABELS > 0, ("false", "true")),
        (LABELS.astype(">i2") * 10, ("0", "10", "20")),
    ],
)
def test_labels_of_any_usual_type(labels: Any, classes: tuple[str, ...], tmp_path: Path) -> None:
    raw = read(tmp_path, x_train=ROWS, y_train=labels, x_test=ROWS[:3], y_test=labels[:3])
    assert raw.classes == classes
    assert [raw.classes[label] for label in raw.test_labels] == [*classes, "true"][:3]


def test_an_array_may_name_the_classes_and_others_are_told(tmp_path: Path) -> None:
    raw = read(
        tmp_path,
        x_train=ROWS,
        y_train=LABELS,
        x_test=ROWS,
        y_test=LABELS,
        x_val=ROWS,
        target_names=np.array(["a", "b", "c", "d"]),
    )
    assert raw.classes == ("a", "b", "c", "d")
    assert raw.notes == ("arrays not read: x_val",)


def test_options_name_other_arrays(tmp_path: Path) -> None:
    found = saved(
        tmp_path, signal_train=ROWS, kind_train=LABELS, signal_test=ROWS, kind_test=LABELS, x_train=ROWS
    )
    raw = SOURCE.read(spec(Path(str(found.root)), inputs="signal", label="kind"))
    assert len(raw.train_images) == len(raw.test_images) == 12


@pytest.mark.parametrize(
    ("arrays", "error", "why"),
    [
        ({"x": ROWS}, DataError, r"no array for label \(train\) among x\n.*x_train and y_train"),
        ({"x_train": ROWS, "y_train": LABELS, "x_test": ROWS}, DataError, r"no array for label \(test\)"),
        ({"x": ROWS, "images": ROWS, "y": LABELS}, ConfigError, "arrays x and images of .* may both be it"),
        (
            {"x": ROWS.astype(object), "y": LABELS},
            DataError,
            "array x: .* pickled objects, which are never read",
        ),
        ({"x": ROWS + 1j, "y": LABELS}, DataError, "values of type complex128 are no inputs"),
        ({"x": np.array("word"), "y": LABELS}, DataError, "a single number is no array"),
        ({"x": ROWS, "y": LABELS[:5]}, DataError, r"12 images and labels of shape \(5,\)"),
        ({"x": ROWS, "y": ROWS}, DataError, r"labels of shape \(12, 5\)"),
        ({"x": ROWS, "y": ROWS[:, 0]}, DataError, "is no whole number"),
        ({"x": ROWS[:0], "y": LABELS[:0]}, DataError, "labels of shape"),
        ({"x": np.empty((12, 0)), "y": LABELS}, DataError, "hold nothing"),
    ],
)
def test_what_cannot_be_read_is_said(
    arrays: dict[str, Any], error: type[Exception], why: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=why):
        SOURCE.read(replace(saved(tmp_path, **arrays), test_fraction=0.0 if "x_test" in arrays else 0.5))


@pytest.mark.parametrize(
    ("part", "place", "written"),
    [(b"PK\3\4", 90, b"\xff" * 8), (b"PK\3\4", 55, b"\xff" * 4), (b"PK\1\2", 8, b"\1")],
    ids=["values", "compression", "encrypted"],
)
def test_a_damaged_file_is_one_message(part: bytes, place: int, written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=np.arange(5000) % 251, y=np.arange(5000) % 4)
    content = bytearray(path.read_bytes())
    at = content.index(part) + place
    content[at : at + len(written)] = written
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.npz.*cannot be read: ") as caught:
        SOURCE.read(replace(spec(path), test_fraction=0.5))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "header", ["{'descr': '|u1', 'shape': (3,", "{'descr': '|u1'} (" + "9" * 5000, "[" * 1000]
)
def test_a_header_that_is_none_is_one_short_message(header: str, tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        size = len(header).to_bytes(2, "little")
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + size + header.encode())
        archive.writestr("y.npy", b"")
    with pytest.raises(DataError, match="array x: the array cannot be read: ") as caught:
        SOURCE.read(replace(spec(path), test_fraction=0.5))
    assert len(str(caught.value)) < 600


def test_a_few_kilobytes_do_not_become_gigabytes(tmp_path: Path) -> None:
    found = saved(tmp_path, compress=True, x=np.zeros((12, 50 * 2**20), np.uint8), y=LABELS)
    with pytest.raises(DataError, match=r"array x: .* MB unpack to 629 MB"):
        SOURCE.read(replace(found, test_fraction=0.5))


def test_what_is_no_file_of_arrays_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "text.npz").write_text("x")
    with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    for name, why in (
        ("pipe", "FIFO"),
        ("text", "no readable .npz"),
        ("lies", "no array for label"),
        ("no", "no readable"),
    ):
        with pytest.raises(DataError, match=why):
            SOURCE.read(replace(spec(tmp_path / f"{name}.npz"), test_fraction=0.5))
    with pytest.raises(DataError, match=r"is a folder.*\n  -> .*lies\.npz, pipe\.npz"):
        SOURCE.fingerprint(spec(tmp_path))
