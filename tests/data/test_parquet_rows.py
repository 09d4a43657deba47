"""Rows are found across files and row groups, and named by file and row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdsearch.data.readers.parquet_column import column_of
from pdsearch.data.readers.parquet_rows import ParquetRows
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


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    rows = ParquetRows(written(tmp_path, [b"a"], [b"b", None]), lambda _: ["img"])
    with pytest.raises(DataError, match=r"1\.parquet, row 1: the image is missing"):
        rows.fetch(np.arange(3))
