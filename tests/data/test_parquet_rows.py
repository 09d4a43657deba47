"""Parquet: its columns of images, its rows, its labels."""

import json
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdsearch.data.readers.labels import Labels
from pdsearch.data.readers.parquet_files import class_names, read_labels
from pdsearch.data.readers.parquet_rows import ParquetRows, column_of, opened
from pdsearch.errors import DataError


def written(folder: Path, *files: Sequence[bytes | None], group: int = 3) -> list[Path]:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    paths = []
    for number, images in enumerate(files):
        paths.append(folder / f"{number}.parquet")
        rows = pa.array([{"bytes": data, "path": None} for data in images], kind)
        pq.write_table(pa.table({"img": rows, "label": [0] * len(images)}), paths[-1], row_group_size=group)
    return paths


def test_every_row_is_found_in_any_order(tmp_path: Path) -> None:
    contents = [[bytes([10 * file + row]) for row in range(count)] for file, count in enumerate([7, 0, 3, 1])]
    rows, flat = (
        ParquetRows(written(tmp_path, *contents), lambda _: ["img"]),
        [data for file in contents for data in file],
    )
    assert len(rows) == 11
    for order in (np.arange(11), np.arange(11)[::-1], np.array([5, 5, 0])):
        assert [data for data, _ in rows.fetch(order)] == [flat[position] for position in order.tolist()]


def test_a_row_is_named_by_its_file(tmp_path: Path) -> None:
    paths = written(tmp_path, [b"a"] * 7, [b"b"] * 5)
    rows = ParquetRows(paths, lambda _: ["img"])
    assert rows.place(6) == f"{paths[0]}, row 6"
    assert rows.place(11) == f"{paths[1]}, row 4"
    assert rows.fetch(np.array([11]))[0][1] == rows.place(11)


def test_ascending_rows_read_each_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, read = ParquetRows(written(tmp_path, [b"a"] * 8), lambda _: ["img"]), []

    def counted(file: Path, name: str, group: int) -> Any:
        read.append(group)
        return column_of(file, name, group)

    monkeypatch.setattr("pdsearch.data.readers.parquet_rows.column_of", counted)
    rows.fetch(np.arange(4))
    rows.fetch(np.arange(4, 8))
    assert read == [0, 1, 2]


def test_a_column_whose_name_is_not_utf_8_is_one_message(tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"img": [b"a"], "w\u00f6rd": [1]}), path)
    path.write_bytes(path.read_bytes().replace("\u00f6".encode(), b"\xff\xff"))
    with pytest.raises(DataError, match=r"set\.parquet: (no readable Parquet file|cannot be read)"):
        ParquetRows([path], lambda _: ["img"]).fetch(np.arange(1))


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    rows = ParquetRows(written(tmp_path, [b"a"], [b"b", None]), lambda _: ["img"])
    with pytest.raises(DataError, match=r"1\.parquet, row 1: the image is missing"):
        rows.fetch(np.arange(3))


ROOM = 400 * 2**20
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@contextmanager
def little_memory() -> Iterator[None]:
    """Reading takes no more than some hundred megabytes beyond what the process has."""
    status = Path("/proc/self/status").read_text()
    used = 1024 * int(next(line for line in status.splitlines() if line.startswith("VmSize")).split()[1])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def written_column(path: Path, column: Any, **options: Any) -> Path:
    pq.write_table(pa.table({"img": column}), path, compression="zstd", **options)
    assert path.stat().st_size < 100_000
    return path


def images(*encoded: bytes) -> Any:
    return pa.array([{"bytes": each, "path": None} for each in encoded], IMAGE)


@pytest.mark.parametrize("store_schema", [True, False])
def test_one_value_repeated(tmp_path: Path, store_schema: bool) -> None:
    """A dictionary holds it once: what its pages unpack to says nothing of what the column is."""
    index, values = pa.array([0] * 900, pa.int32()), pa.array([bytes(2**20)], pa.binary())
    one = pa.DictionaryArray.from_arrays(index, values)
    path = written_column(tmp_path / "a.parquet", one, store_schema=store_schema)
    message = r"a\.parquet: a column of 0\.\d+ MB unpacks to \d+ MB and more"
    with little_memory(), pytest.raises(DataError, match=message):
        column_of(path, "img")


def test_a_value_of_zeros(tmp_path: Path) -> None:
    path = written_column(tmp_path / "a.parquet", images(bytes(100 * 2**20)))
    with pytest.raises(DataError, match="unpacks to 105 MB and more"):
        column_of(path, "img", group=0)


def test_rows_that_are_none(tmp_path: Path) -> None:
    path = written_column(tmp_path / "a.parquet", pa.nulls(30_000_000, pa.int8()))
    with pytest.raises(DataError, match=r"30,000,000 rows in .* bytes are more than a set has room for"):
        opened(path)


@pytest.mark.parametrize("group", [None, 0, 1])
def test_what_fits_is_read_whole(tmp_path: Path, group: int | None) -> None:
    encoded = [bytes([i]) * (40 + i) for i in range(200)]
    path = written_column(tmp_path / "a.parquet", images(*encoded), row_group_size=100)
    rows = [row["bytes"] for row in column_of(path, "img", group).to_pylist()]
    assert rows == (encoded if group is None else encoded[100 * group : 100 * group + 100])


def test_a_file_without_rows_has_an_empty_column(tmp_path: Path) -> None:
    assert len(column_of(written_column(tmp_path / "a.parquet", images()), "img")) == 0


def column_file(file: Path, labels: Any, names: list[str] | None = None) -> Path:
    """Write a Parquet file of empty images with labels."""
    column = labels if isinstance(labels, pa.Array) else pa.array(labels)
    table = pa.table({"image": pa.array([b""] * len(column), pa.binary()), "label": column})
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file)
    return file


def read(folder: Path, train: Any, test: Any = None) -> Labels:
    files = [column_file(folder / "train.parquet", train)]
    others = [] if test is None else [column_file(folder / "test.parquet", test)]
    return read_labels(files, others, "label")


CATEGORIES = pa.array(["b", "a"]).dictionary_encode()


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (pa.array(["b", "a"], pa.large_string()), ("a", "b"), [1, 0]),
        (pa.array(["b", "a"], pa.string_view()), ("a", "b"), [1, 0]),
        (pa.array([b"b", b"a"], pa.binary()), ("a", "b"), [1, 0]),
        (pa.array([b"b", b"a"], pa.binary(1)), ("a", "b"), [1, 0]),
        (CATEGORIES, ("a", "b"), [1, 0]),
        (pa.array([7, 0, 7]).dictionary_encode(), ("0", "7"), [1, 0, 1]),
        ([True, False], ("false", "true"), [1, 0]),
        ([1.0, 0.0, 2.0], ("0", "1", "2"), [1, 0, 2]),
        (pa.array(np.array([1, 0], np.float16)), ("0", "1"), [1, 0]),
        ([Decimal("1.0"), Decimal("0.0")], ("0", "1"), [1, 0]),
        (pa.array([2, 0, 1], pa.uint64()), ("0", "1", "2"), [2, 0, 1]),
        ([0, 2, 3], ("0", "1", "2", "3"), [0, 2, 3]),
        ([1, -1, 1], ("-1", "1"), [1, 0, 1]),
    ],
)
def test_labels_of_any_usual_type(
    labels: Any, classes: tuple[str, ...], numbers: list[int], tmp_path: Path
) -> None:
    found = read(tmp_path, labels)
    assert (found.classes, found.train.tolist()) == (classes, numbers)


def test_few_images_a_class_are_enough(tmp_path: Path) -> None:
    assert len(read(tmp_path, [*range(30), *range(5)]).classes) == 30


def test_numbers_that_are_mostly_unused_are_names(tmp_path: Path) -> None:
    found = read(tmp_path, [10, 999_999, 20], [20])
    assert (found.classes, found.train.tolist(), found.test.tolist()) == (
        ("10", "20", "999999"),
        [0, 2, 1],
        [1],
    )
    assert found.renumbered
    assert found.notes == ("labels are the numbers 10, 20, 999999: 3 classes of these names",)
    assert not read(tmp_path, [0, 2, 3]).renumbered


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([0, 1_000_000], "row 1: label 1000000 is no class"),
        (pa.array([2**64 - 1], pa.uint64()), "row 0: label 18446744073709551615 is no class"),
        ([0.0, float("inf")], "row 1: label inf is no class"),
        ([0.0, float("-inf")], "row 1: label -inf is no class"),
        ([0.0, 0.5], r"row 1: label 0\.5 is no whole number"),
        ([0.0, float("nan")], "row 1: label is missing"),
        (["a", None], "row 1: label is missing"),
        (["a", " "], "row 1: label is empty"),
        ([0, -1, 1], r"row 1: label -1 is no class\n.*test on a split that has labels"),
        ([[0]], r"train\.parquet: label is of type list.*, which is no label"),
        (pa.array([0], pa.timestamp("s")), "label is of type timestamp"),
        (pa.array([b"\xff"], pa.binary()), "label is of type binary"),
        ([str(number) for number in range(40)], "40 values for 40 images"),
        (list(range(40)), "40 values for 40 images"),
    ],
)
def test_what_is_no_label_is_refused(labels: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=why):
        read(tmp_path, labels)


@pytest.mark.parametrize(("train", "test"), [(["a", "b"], ["b", "c"]), ([10, 20], [20, 30])])
def test_a_class_that_is_only_tested_is_refused(train: Any, test: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.parquet, row 1: no training image is of the class (c|30)"):
        read(tmp_path, train, test)


def test_files_of_two_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.parquet: label is of type int64, in train\.parquet string"):
        read(tmp_path, ["a"], [0])


def test_names_of_classes_come_from_every_file(tmp_path: Path) -> None:
    plain = column_file(tmp_path / "plain.parquet", [0, 1])
    named = column_file(tmp_path / "named.parquet", [2], ["cat", "dog", "owl"])
    other = column_file(tmp_path / "other.parquet", [0], ["dog", "cat", "owl"])
    for train, test in (([plain], [named]), ([named], [plain]), ([plain, named], [plain])):
        assert read_labels(train, test, "label").classes == ("cat", "dog", "owl")
    with pytest.raises(
        DataError, match=r"other\.parquet: its schema names other classes than named\.parquet"
    ):
        read_labels([plain, named], [other], "label")


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "{",
        "[]",
        "{}",
        b"\xff",
        '{"info": null}',
        '{"info": {"features": {"other": {"names": ["x"]}}}}',
        '{"info": {"features": {"label": {"dtype": "int64"}}}}',
    ],
)
def test_a_schema_without_class_names_has_none(stored: str | bytes) -> None:
    assert class_names(pa.schema({"label": pa.int64()}, metadata={"huggingface": stored}), "label") == ()
