"""Files, columns and names are found where they are usual, and asked for where they are not."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdsearch.data.parquet_layout import class_names, files_of, image_column, label_column, test_split
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec

# Not a test, whatever its name says to pytest.
SPLIT_OF = test_split
del test_split

IMAGE = {"bytes": b"x", "path": None}


def spec(root: Path | None = None, **options: str) -> DataSpec:
    return DataSpec(
        "parquet", root=None if root is None else str(root), options=tuple(sorted(options.items()))
    )


def table(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table({name: [value] for name, value in columns.items()}), path)
    return path


def test_one_file_goes_before_shards_and_shards_are_in_order(tmp_path: Path) -> None:
    shards = [table(tmp_path / f"train-0000{n}-of-00002.parquet", img=IMAGE) for n in (1, 0)]
    assert files_of(spec(tmp_path), "train") == sorted(shards)
    whole = table(tmp_path / "train.parquet", img=IMAGE)
    assert files_of(spec(tmp_path), "train") == [whole]


def test_a_folder_is_needed_and_has_to_hold_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a folder"):
        files_of(spec(), "train")
    with pytest.raises(DataError, match=r"train\.parquet: no such file"):
        files_of(spec(tmp_path), "train")


def test_the_test_split_has_its_usual_name() -> None:
    assert SPLIT_OF(spec()) == "test"
    assert SPLIT_OF(spec(test="valid")) == "valid"


@pytest.mark.parametrize("name", ["img", "image"])
def test_the_image_column_has_one_of_two_names(tmp_path: Path, name: str) -> None:
    assert image_column(table(tmp_path / "a.parquet", label=1, **{name: IMAGE})) == name
    with pytest.raises(DataError, match="no image column among label, other"):
        image_column(table(tmp_path / "b.parquet", label=1, other=IMAGE))


def test_the_label_column_is_the_only_one_or_the_usual_one_or_named(tmp_path: Path) -> None:
    file = table(tmp_path / "a.parquet", img=IMAGE, fine_label=1, coarse_label=2)
    assert label_column(file, spec()) == "fine_label"
    assert label_column(file, spec(label="coarse_label")) == "coarse_label"
    with pytest.raises(ConfigError, match="no integer column 'img'"):
        label_column(file, spec(label="img"))
    with pytest.raises(ConfigError, match="several columns"):
        label_column(table(tmp_path / "b.parquet", img=IMAGE, x=1, y=2), spec())
    with pytest.raises(DataError, match="no integer column among img"):
        label_column(table(tmp_path / "c.parquet", img=IMAGE), spec())


def test_names_of_classes_come_from_the_schema_if_they_are_there() -> None:
    schema = pa.schema([("label", pa.int64())])
    assert class_names(schema, "label") == ()
    stored = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    assert class_names(schema.with_metadata({"huggingface": json.dumps(stored)}), "label") == ("cat", "dog")
    assert class_names(schema.with_metadata({"huggingface": "no JSON"}), "label") == ()
