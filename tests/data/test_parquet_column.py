"""A file of some kilobytes does not become gigabytes: neither by repeated values, nor by runs, nor by zeros."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdsearch.data.readers.parquet_column import column_of, opened
from pdsearch.errors import DataError

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


def written(path: Path, column: Any, **options: Any) -> Path:
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
    path = written(tmp_path / "a.parquet", one, store_schema=store_schema)
    message = r"a\.parquet: a column of 0\.\d+ MB unpacks to \d+ MB and more"
    with little_memory(), pytest.raises(DataError, match=message):
        column_of(path, "img")


def test_a_value_of_zeros(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", images(bytes(100 * 2**20)))
    with pytest.raises(DataError, match="unpacks to 105 MB and more"):
        column_of(path, "img", group=0)


def test_rows_that_are_none(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", pa.nulls(30_000_000, pa.int8()))
    with pytest.raises(DataError, match=r"30,000,000 rows in .* bytes are more than a set has room for"):
        opened(path)


@pytest.mark.parametrize("group", [None, 0, 1])
def test_what_fits_is_read_whole(tmp_path: Path, group: int | None) -> None:
    encoded = [bytes([i]) * (40 + i) for i in range(200)]
    path = written(tmp_path / "a.parquet", images(*encoded), row_group_size=100)
    rows = [row["bytes"] for row in column_of(path, "img", group).to_pylist()]
    assert rows == (encoded if group is None else encoded[100 * group : 100 * group + 100])


def test_a_file_without_rows_has_an_empty_column(tmp_path: Path) -> None:
    assert len(column_of(written(tmp_path / "a.parquet", images()), "img")) == 0
