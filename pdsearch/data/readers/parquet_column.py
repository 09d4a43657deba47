"""Read a column of a Parquet file in batches and within memory bounds: a few kilobytes can unpack to gigabytes.

The sizes in the metadata are compared with the size of the file, and unpacked bytes are counted too, because
dictionaries and run lengths can repeat a value any number of times.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pdsearch.errors import DataError, StorageError
from pdsearch.io.durable import check_regular

LAYOUT = (
    "expected a column of images (img or image: struct<bytes, path>, bytes or paths) or of lists of numbers, and one of"
    " labels (label)"
)

ROWS_A_BYTE, FEW_ROWS = 4, 1_000
"""Limit of rows by the size of a file: rows of a table can be equal; FEW_ROWS more are accepted."""

LEAST, TIMES, MOST = 64 * 2**20, 100, 8 * 2**30
"""Bytes a column of a row group may unpack to: LEAST plus TIMES the file size, at most MOST or twice the file size."""

_BATCH = 1_024


def opened(file: Path) -> Any:
    """Open a Parquet file.

    Raises:
        DataError: It is not one, or its metadata claims more rows than its bytes can hold.
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
    if rows > FEW_ROWS + size * ROWS_A_BYTE:
        what = f"{rows:,} rows in {size:,} bytes are more than a set has room for"
        raise DataError(what, where=str(file), hint="write the set again, or replace the file")
    return found


def column_of(file: Path, name: str, group: int | None = None) -> Any:
    """Return a column as a chunked array; dictionary-encoded values are decoded.

    Args:
        file: The file.
        name: Name of the column.
        group: Number of a row group; None reads all of them.

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


def is_list(kind: Any) -> bool:
    """Return whether values of a type are lists, or tensors of a fixed shape; both have a `value_type`."""
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists) or isinstance(kind, pa.FixedShapeTensorType)


def most_unpacked(size: int) -> int:
    """Return how many bytes a part of a file of this size may unpack to."""
    return min(LEAST + TIMES * size, max(MOST, 2 * size))


def _chunks(parquet: Any, file: Path, name: str, group: int) -> Iterator[Any]:
    size = file.stat().st_size
    bound = most_unpacked(size)
    unpacked = max(1, _unpacked(parquet.metadata.row_group(group), name))
    if unpacked > bound:
        raise _too_much(file, unpacked, size)
    # No value exceeds the unpacked size of its pages, so that no single batch can exceed the bound.
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
    """Return the unpacked size of a column's pages according to the metadata, nested parts included."""
    columns = [row_group.column(i) for i in range(row_group.num_columns)]
    parts = [part for part in columns if part.path_in_schema.partition(".")[0] == name]
    return sum(part.total_uncompressed_size for part in parts)


def _too_much(file: Path, unpacked: int, size: int) -> DataError:
    what = f"a column of {size / 1e6:.3g} MB unpacks to {unpacked / 1e6:,.0f} MB and more: inputs do not pack so well"
    return DataError(what, where=str(file), hint="write the set again, or replace the file")
