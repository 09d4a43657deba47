"""Files, columns and class names are found by the layout's rules, and what is unclear is never guessed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdsearch.data.readers import parquet_files as layout
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def spec(root: Path | None = None, **options: Any) -> DataSpec:
    where = None if root is None else str(root)
    return DataSpec(source="parquet", root=where, options=tuple(sorted(options.items())))


def file_of(folder: Path, **columns: Any) -> Path:
    """Write an empty Parquet file with columns of these types."""
    file = folder / "some.parquet"
    pq.write_table(pa.schema(columns).empty_table(), file)
    return file


def column(file: Path, **options: Any) -> str:
    return layout.input_columns(file, spec(**options)).names[0]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def test_a_whole_file_wins_over_shards(tmp_path: Path) -> None:
    touch(tmp_path, "train.parquet", "train-00000-of-00001.parquet")
    assert layout.files_of(spec(tmp_path), "train") == [tmp_path / "train.parquet"]


def test_shards_come_in_order_and_other_files_do_not(tmp_path: Path) -> None:
    shards = [f"train-0000{number}-of-00003.parquet" for number in (2, 0, 1)]
    touch(tmp_path, *shards, "test-00000-of-00001.parquet", "train-00000-of-00003.json", "training.parquet")
    assert [file.name for file in layout.files_of(spec(tmp_path), "train")] == sorted(shards)


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00002",),
        ("train-00001-of-00002",),
        ("train-00000-of-00003", "train-00002-of-00003"),
        ("train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"),
        ("train-00000-of-00001", "train-extra"),
    ],
)
def test_a_set_with_gaps_is_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.parquet" for name in names))
    with pytest.raises(DataError, match=rf"shards are missing.*\n.*found: {names[0]}\.parquet"):
        layout.files_of(spec(tmp_path), "train")


@pytest.mark.parametrize(
    "names",
    [
        ("train-0", "train-1"),
        ("train-00000-of-00001-a1b2c3d4",),
        sorted(f"train-{number}-of-11" for number in range(11)),
    ],
)
def test_shards_may_be_named_otherwise(names: Sequence[str], tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.parquet" for name in names))
    assert [file.stem for file in layout.files_of(spec(tmp_path), "train")] == list(names)


def test_the_image_column_holds_bytes_and_img_comes_first(tmp_path: Path) -> None:
    assert column(file_of(tmp_path, image=IMAGE, img=IMAGE)) == "img"
    assert column(file_of(tmp_path, img=pa.string(), image=IMAGE)) == "image"


def test_images_may_be_bytes_alone_and_their_column_the_only_one_that_holds_some(tmp_path: Path) -> None:
    assert column(file_of(tmp_path, image=pa.binary(), label=pa.binary())) == "image"
    assert column(file_of(tmp_path, scan=IMAGE, label=pa.int64())) == "scan"


@pytest.mark.parametrize("kind", [pa.date32(), pa.struct([("path", pa.string())])])
def test_an_image_column_without_bytes_is_none(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(DataError, match="no column of images or arrays among label, img"):
        column(file_of(tmp_path, label=pa.int64(), img=kind))


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"anything": "int8", "weight": "float32"}, {}, "anything"),
        ({"coarse_label": "int64", "fine_label": "int64"}, {}, "fine_label"),
        ({"id": "int64", "label": "uint8"}, {}, "label"),
        ({"id": "int64", "label": "uint8"}, {"label": "id"}, "id"),
        ({"width": "int64", "label": "string"}, {}, "label"),
        ({"image_id": "int64", "Class": "large_string", "text": "string"}, {}, "Class"),
        ({"label": "int64", "target": "int64", "class": "string"}, {}, "label"),
        ({"count": "int64", "breed": "string", "file_name": "string"}, {}, "breed"),
    ],
)
def test_the_label_column(
    columns: dict[str, str], options: dict[str, str], expected: str, tmp_path: Path
) -> None:
    file = file_of(tmp_path, **{name: getattr(pa, kind)() for name, kind in columns.items()})
    assert layout.label_column(file, spec(None, **options)) == expected


@pytest.mark.parametrize(
    "columns", [("a", "b"), ("label", "fine_label"), ("label", "Label"), ("class", "target"), ("labels", "y")]
)
def test_several_columns_of_labels_are_not_guessed_from(columns: tuple[str, str], tmp_path: Path) -> None:
    file = file_of(tmp_path, **dict.fromkeys(columns, pa.int64()))
    with pytest.raises(
        ConfigError, match=rf"name the column of labels in data\.options\.label: {', '.join(columns)}"
    ):
        layout.label_column(file, spec())


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["label", "label"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="several columns are called label"):
        layout.label_column(tmp_path / "twice.parquet", spec(label="label"))


def test_a_named_column_has_to_be_there(tmp_path: Path) -> None:
    file = file_of(tmp_path, label=pa.int64(), text=pa.string())
    with pytest.raises(
        ConfigError, match=r"^data\.options\.label: no column 'labl'.*\n.*columns: label, text$"
    ):
        layout.label_column(file, spec(label="labl"))


@pytest.mark.parametrize("name", ["width", "height", "id", "index", "image_id", "path", "row_index"])
def test_what_is_said_of_an_image_is_no_label(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"no column of labels among {name}\n.*data\.options\.label"):
        layout.label_column(file_of(tmp_path, **{name: pa.int64()}), spec())


def test_a_set_without_a_test_split_says_which_there_are(tmp_path: Path) -> None:
    touch(tmp_path, "train.parquet", "validation-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"test\.parquet: .*no test.*\n.*\(validation\).*data\.test_fraction"):
        layout.splits_of(spec(tmp_path))
    cut = replace(spec(tmp_path), test_fraction=0.5)
    assert layout.splits_of(cut) == ([tmp_path / "train.parquet"], [])
    touch(tmp_path, "test.parquet")
    with pytest.raises(ConfigError, match=r"^data\.test_fraction: the set has test images"):
        layout.splits_of(cut)
