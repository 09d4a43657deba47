"""Parquet sets are read, fingerprinted, and refused with file and row when something is wrong with them."""

import hashlib
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pdsearch.data import RawData
from pdsearch.data.registry import sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from tests.data.layouts import whole

SOURCE = sources.get("parquet")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def images(*values: int) -> Any:
    return pa.array([{"bytes": png(value), "path": None} for value in values], IMAGE)


def png(value: int, size: int = 4, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (size, size), (value,) * 3 if mode == "RGB" else value).save(stream, format="PNG")
    return stream.getvalue()


def write(
    file: Path, images: list[bytes | None], image: str = "img", names: list[str] | None = None, **labels: Any
) -> None:
    content = {image: [{"bytes": data, "path": None} for data in images], **labels}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {name: pa.array(rows, kind if name == image else None) for name, rows in content.items()}
    )
    if names is not None:
        features = {label: {"names": names} for label in labels}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file)


def a_set(root: Path, **more: Any) -> DataSpec:
    write(
        root / "train.parquet",
        [png(1), png(2), png(3)],
        **{"label": [0, 1, 0], "names": ["cat", "dog"], **more},
    )
    tested: dict[str, Any] = {name: [1, 1] for name in more if name == "coarse"}
    write(root / "test.parquet", [png(4), png(5)], label=[1, 1], **tested)
    return DataSpec(source="parquet", root=str(root))


def read(spec: DataSpec) -> RawData:
    sources.get("parquet").fingerprint(spec)
    raw = sources.get("parquet").read(spec)
    return replace(raw, train_images=whole(raw.train_images), test_images=whole(raw.test_images))


def test_a_set_is_read(tmp_path: Path) -> None:
    raw = read(a_set(tmp_path))
    assert raw.train_images.shape == (3, 3, 4, 4)
    assert whole(raw.train_images)[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert raw.train_labels.tolist() == [0, 1, 0]
    assert raw.test_labels.dtype == np.int64
    assert raw.classes == ("cat", "dog")


def test_another_split_may_be_the_test_set(tmp_path: Path) -> None:
    spec = a_set(tmp_path)
    (tmp_path / "test.parquet").rename(tmp_path / "valid.parquet")
    raw = read(DataSpec(source="parquet", root=spec.root, options=(("test", "valid"),)))
    assert len(raw.test_labels) == 2


def test_the_fingerprint_follows_content_and_label_column(tmp_path: Path) -> None:
    spec = a_set(tmp_path, coarse=[0, 0, 0])
    fingerprint = sources.get("parquet").fingerprint
    first = fingerprint(spec)
    assert len(first) == 64
    assert fingerprint(spec) == first
    assert fingerprint(DataSpec(source="parquet", root=spec.root, options=(("label", "coarse"),))) != first
    write(tmp_path / "test.parquet", [png(4), png(6)], label=[1, 1])
    assert fingerprint(spec) != first


def test_the_test_file_needs_the_same_label_column(tmp_path: Path) -> None:
    spec = a_set(tmp_path)
    write(tmp_path / "test.parquet", [png(1)], other=[0])
    with pytest.raises(DataError, match=r"test\.parquet: no column 'label'"):
        read(spec)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    spec = a_set(tmp_path)
    pq.write_table(pq.read_table(tmp_path / "train.parquet").slice(0, 0), tmp_path / "test.parquet")
    with pytest.raises(DataError, match="holds no images"):
        read(spec)


def test_a_broken_image_is_named_by_file_and_row(tmp_path: Path) -> None:
    spec = a_set(tmp_path)
    write(tmp_path / "train.parquet", [png(1), png(1), b"broken"], label=[0, 1, 0])
    with pytest.raises(DataError, match=r"train\.parquet, row 2: the image cannot be decoded"):
        read(spec)


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_without_a_class_is_named_by_file_and_row(tmp_path: Path, label: int) -> None:
    with pytest.raises(DataError, match=rf"train\.parquet, row 2: label {label} of 2 classes"):
        read(a_set(tmp_path, label=[0, 1, label]))


def test_another_column_that_may_be_meant_is_noted(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / f"{split}.parquet", [png(1), png(2)], label=[0, 1], target=[1, 0])
    spec = DataSpec(source="parquet", root=str(tmp_path))
    assert read(spec).notes == (
        "labels are those of the column label; data.options.label can name another: target",
    )
    assert read(replace(spec, options=(("label", "target"),))).notes == ()


def test_images_may_be_plain_bytes(tmp_path: Path) -> None:
    table = pa.table({"image": pa.array([png(7), png(8)], pa.binary()), "label": [0, 1]})
    for split in ("train", "test"):
        pq.write_table(table, tmp_path / f"{split}.parquet")
    raw = read(DataSpec(source="parquet", root=str(tmp_path)))
    assert whole(raw.train_images)[:, 0, 0, 0].tolist() == [7, 8]


def test_a_set_of_one_part_is_read_where_test_images_are_cut_off(tmp_path: Path) -> None:
    spec = a_set(tmp_path)
    (tmp_path / "test.parquet").unlink()
    raw = read(replace(spec, test_fraction=0.5))
    assert (len(raw.train_images), raw.test_images.shape) == (3, (0, 3, 4, 4))


def test_only_what_was_once_read_otherwise_has_another_fingerprint(tmp_path: Path) -> None:
    """The hashes of sets that were always read as they are now; keys of stored artifacts hold them."""
    spec, stream, exif = a_set(tmp_path), io.BytesIO(), Image.Exif()
    exif[0x0112] = 3
    Image.new("RGB", (4, 4)).save(stream, format="PNG", exif=exif)
    fingerprint = sources.get("parquet").fingerprint
    parts = [tmp_path / f"{split}.parquet" for split in ("train", "test")]
    kinds = (
        ([0, 1, 0], png(4), ""),
        ([0, 90, 0], png(4), "|renumbered"),
        ([0, 1, 0], stream.getvalue(), "|upright"),
    )
    for labels, tested, marks in kinds:
        a_set(tmp_path, names=None, label=labels)
        write(parts[1], [tested], label=[labels[1]])
        content = hashlib.sha256(b"label")
        for part in parts:
            content.update(f"|1|{part.stat().st_size}|".encode())
            content.update(hashlib.sha256(part.read_bytes()).digest())
        content.update(marks.encode())
        assert fingerprint(spec) == content.hexdigest()


ARRAYS = {
    "lists": (pa.array([[1.0, 2.0], [3.0, 4.0]] * 3), "float32 (2,)"),
    "fixed": (pa.array([[1, 2], [3, 4]] * 3, pa.list_(pa.int16(), 2)), "float32 (2,)"),
    "nested": (
        pa.array([[[1, 2, 3], [4, 5, 6]]] * 6, pa.large_list(pa.list_(pa.float64(), 3))),
        "float32 (2, 3)",
    ),
    "tensors": (
        pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(36, dtype=np.uint8).reshape(6, 2, 3, 1)),
        "uint8 (1, 2, 3)",
    ),
    "image": (
        pa.array([[[[7] * 3] * 4] * 4] * 6, pa.list_(pa.list_(pa.list_(pa.uint8())))),
        "uint8 (3, 4, 4)",
    ),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_lists_of_numbers_are_inputs(kind: str, tmp_path: Path) -> None:
    column, shape = ARRAYS[kind]
    for part in ("train", "test"):
        table = pa.table({"signal": column, "label": [0, 1] * 3, "id": range(6)})
        pq.write_table(table, tmp_path / f"{part}.parquet", row_group_size=4)
    raw = SOURCE.read(DataSpec("parquet", root=str(tmp_path)))
    assert str(raw.inputs) == shape
    found = whole(raw.train_images)
    assert found.shape == (6, *raw.inputs.shape)
    assert np.array_equal(raw.train_images[np.array([5, 1])], found[[5, 1]])
    assert found[1].ravel()[0] == np.array(column.to_pylist()[1]).ravel()[0]


def test_columns_of_numbers_are_rows_of_a_table(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False], "id": [1, 2], "label": ["x", "y"]})
    pq.write_table(table, tmp_path / "train.parquet")
    named = DataSpec("parquet", root=str(tmp_path), options=(("inputs", ("a", "b", "c")),), test_fraction=0.5)
    assert whole(SOURCE.read(named).train_images).tolist() == [[1, 0.5, 1], [2, 1.5, 0]]
    for columns, why in (
        (("a", "z"), "no column 'z'"),
        (("a", "label"), "is of type string, which holds no numbers"),
    ):
        with pytest.raises(ConfigError, match=rf"^data\.options\.inputs: .*{why}"):
            SOURCE.read(replace(named, options=(("inputs", columns),)))


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.array([[1, 2], [3, 4, 5]]), "row 1: the input is of another shape"),
        (pa.array([[1, 2], None]), "row 1: the input is missing"),
        (pa.array([[1, 2], [None, 1]]), "row 1: the input lacks a number"),
        (pa.array([[[1], [2]], [[1], [2, 3]]]), "row 1: the input is of another shape"),
        (pa.array([[], []], pa.list_(pa.int64())), "hold nothing"),
        (
            pa.array([[137, 80], [137]], pa.list_(pa.uint8())),
            r"row 1: .*\n.*encoded images are of type binary",
        ),
    ],
)
def test_arrays_of_no_one_shape_are_refused_with_their_row(column: Any, why: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"signal": column, "label": [0, 1]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match=rf"train\.parquet, {why}" if "row" in why else why):
        whole(SOURCE.read(DataSpec("parquet", root=str(tmp_path), test_fraction=0.5)).train_images)


def test_rows_may_name_files(tmp_path: Path) -> None:
    """As `datasets` writes images that it did not embed, or as a table of paths does."""
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    link = tmp_path.with_name("link")
    link.symlink_to(tmp_path)
    struct = pa.array([{"bytes": None, "path": f"a/../{n}.png"} for n in range(4)], IMAGE)
    for column, root in (
        (struct, tmp_path),
        (pa.array([str(tmp_path / f"{n}.png") for n in range(4)]), tmp_path),
        (pa.array([str(tmp_path / f"{n}.png") for n in range(4)]), link),
        (pa.array([str(link / f"{n}.png") for n in range(4)]), link),
    ):
        pq.write_table(pa.table({"image": column, "label": [0, 1, 0, 1]}), tmp_path / "train.parquet")
        named = DataSpec("parquet", root=str(root), test_fraction=0.5)
        found = SOURCE.fingerprint(named)
        assert len(whole(SOURCE.read(named).train_images)) == 4
        (tmp_path / "3.png").write_bytes(png(9))
        assert SOURCE.fingerprint(named) != found
        (tmp_path / "3.png").write_bytes(png(3))
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match=r"train\.parquet, row 2: .*2\.png: cannot be read: No such file"):
        SOURCE.fingerprint(named)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a\0b.png", r"a\\x00b\.png'\.\.\.: is no name of a file"),
        ("x" * 5_000, r"xxx'\.\.\.: cannot be read: File name too long"),
        ("pipe", r"pipe: is a FIFO, not a file"),
        ("set.txt", r"set\.txt: the image cannot be decoded"),
        (
            "/dev/zero",
            "/dev/zero: is outside the folder of the Parquet file\n  -> keep the images in its folder",
        ),
        ("../0.png", r"\.\./0\.png: is outside the folder"),
        ("away/../../set/../0.png", r"0\.png: is outside the folder"),
    ],
)
def test_a_row_that_names_no_image_is_named_itself(path: str, why: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / "set.txt").write_text("no image")
    (tmp_path / "0.png").write_bytes(png(1))
    os.mkfifo(root / "pipe")
    column = pa.array([{"bytes": png(0), "path": None}, {"bytes": None, "path": path}], IMAGE)
    pq.write_table(pa.table({"image": column, "label": [0, 1]}), root / "train.parquet")
    named = DataSpec("parquet", root=str(root), test_fraction=0.5)
    with pytest.raises(DataError, match=rf"train\.parquet, row 1: .*{why}") as caught:
        whole(SOURCE.read(replace(named, fingerprint=SOURCE.fingerprint(named))).train_images)
    assert len(str(caught.value)) < 600


def test_files_that_are_not_read_are_noted(tmp_path: Path) -> None:
    spec = a_set(tmp_path)
    write(tmp_path / "validation.parquet", [png(4)], label=[0])
    write(tmp_path / "train-00000-of-00001.parquet", [png(4)], label=[0])
    assert read(spec).notes == (
        "not read: train-00000-of-00001.parquet, validation.parquet (validation images are cut from the training"
        " images)",
    )


def test_options_name_the_column_of_images(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"front": images(1, 2), "back": images(3, 4), "label": [0, 1]}), tmp_path / "train.parquet"
    )
    named = DataSpec("parquet", root=str(tmp_path), test_fraction=0.5)
    with pytest.raises(
        DataError, match=r"several columns may hold the inputs: front, back\n.*data\.options\.image"
    ):
        SOURCE.read(named)
    assert len(SOURCE.read(replace(named, options=(("image", "back"),))).train_images) == 2
    with pytest.raises(ConfigError, match=r"^data\.options\.image: .*type int64, which holds no images"):
        SOURCE.read(replace(named, options=(("image", "label"),)))
