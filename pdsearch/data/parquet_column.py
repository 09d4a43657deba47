"""A column of a Parquet file, read by batches and within bounds: a few kilobytes can unpack to gigabytes.

What a file says of itself is compared with its size on the disk, and what is unpacked is counted, too: dictionaries and
runs repeat a value as often as they like.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pdsearch.errors import DataError, StorageError
from pdsearch.io.durable import check_regular

__all__ = ["LAYOUT", "column_of", "opened"]

LAYOUT = (
    "expected a column of images (img or image) of struct<bytes, path> or binary, and one of labels (label)"
)

BYTES_A_ROW, FEW_ROWS = 16, 1_000
"""The smallest image has more bytes than this; of so few rows nothing is asked."""

LEAST, TIMES, MOST = 64 * 2**20, 100, 8 * 2**30
"""Bytes that a column of a row group may unpack to: so many, and so many times the file, and no more than that."""

_BATCH = 1_024


def opened(file: Path) -> Any:
    """Return an open Parquet file.

    Raises:
        DataError: It is none, or says that it holds more rows than its bytes can.
    """
    try:
        check_regular(file)
        found = pq.ParquetFile(file)
        metadata, size = found.metadata, file.stat().st_size
        rows = max(
            metadata.num_rows, sum(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        )
    except StorageError as error:
        raise DataError(error.what, where=str(file), hint=LAYOUT) from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"no readable Parquet file: {error}", where=str(file), hint=LAYOUT) from error
    if rows > FEW_ROWS + size // BYTES_A_ROW:
        what = f"{rows:,} rows in {size:,} bytes are more than images have room for"
        raise DataError(what, where=str(file), hint="write the set again, or replace the file")
    return found


def column_of(file: Path, name: str, group: int | None = None) -> Any:
    """Return a column as a chunked array, one with a dictionary as the values that it stands for.

    Args:
        file: The file.
        name: Of the column.
        group: Number of a row group; None is all of them.

    Raises:
        DataError: It cannot be read, or unpacks to more than a file of this size can hold.
    """
    parquet = opened(file)
    groups = range(parquet.metadata.num_row_groups) if group is None else [group]
    try:
        chunks = [chunk for number in groups for chunk in _chunks(parquet, file, name, number)]
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"cannot be read: {error}", where=str(file), hint=LAYOUT) from error
    kind = parquet.schema_arrow.field(name).type
    return pa.chunked_array(chunks, type=kind.value_type if pa.types.is_dictionary(kind) else kind)


def _chunks(parquet: Any, file: Path, name: str, group: int) -> Iterator[Any]:
    size = file.stat().st_size
    bound = min(LEAST + TIMES * size, max(MOST, 2 * size))
    unpacked = max(1, _unpacked(parquet.metadata.row_group(group), name))
    if unpacked > bound:
        raise _too_much(file, unpacked, size)
    # No value is larger than all that its pages unpack to, so that no batch goes beyond the bound by itself.
    rows = min(_BATCH, max(1, bound // unpacked))
    read = 0
    for batch in parquet.iter_batches(batch_size=rows, row_groups=[group], columns=[name]):
        chunk = batch.column(name)
        if pa.types.is_dictionary(chunk.type):
            chunk = chunk.cast(chunk.type.value_type)
        read += chunk.nbytes
        if read > bound:
            raise _too_much(file, read, size)
        yield chunk


def _unpacked(row_group: Any, name: str) -> int:
    """Return the bytes that the pages of a column unpack to, as the file says; all its parts, where it has some."""
    columns = [row_group.column(i) for i in range(row_group.num_columns)]
    parts = [part for part in columns if part.path_in_schema.partition(".")[0] == name]
    return sum(part.total_uncompressed_size for part in parts)


def _too_much(file: Path, unpacked: int, size: int) -> DataError:
    what = f"a column of {size / 1e6:.3g} MB unpacks to {unpacked / 1e6:,.0f} MB and more: images do not pack so well"
    return DataError(what, where=str(file), hint="write the set again, or replace the file")
