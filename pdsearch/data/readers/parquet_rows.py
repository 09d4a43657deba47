"""Columns of Parquet files within bounds of memory, and their inputs: encoded images, files of images, or arrays.

A few kilobytes can unpack to gigabytes. The sizes in the metadata are compared with the size of the file, and unpacked
bytes are counted too, because dictionaries and run lengths can repeat a value any number of times. Of inputs, one row
group is held in memory.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pdsearch.data.readers.arrays import Layout, layout_of
from pdsearch.data.readers.decode import Encoded
from pdsearch.data.readers.encoded import read_file
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

UNREADABLE = (OSError, pa.ArrowException, UnicodeDecodeError)
"""Errors of pyarrow; names of columns that are not UTF-8 are none of its own."""

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
    except UNREADABLE as error:
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
    except UNREADABLE as error:
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
    parts = [part for part in columns if _path(part).partition(".")[0] == name]
    return sum(part.total_uncompressed_size for part in parts)


def _path(column: Any) -> str:
    """Return the path of a column; "" if it is not UTF-8."""
    with suppress(UnicodeDecodeError):
        return str(column.path_in_schema)
    return ""


def _too_much(file: Path, unpacked: int, size: int) -> DataError:
    what = f"a column of {size / 1e6:.3g} MB unpacks to {unpacked / 1e6:,.0f} MB and more: inputs do not pack so well"
    return DataError(what, where=str(file), hint="write the set again, or replace the file")


AGAIN = "write the set again"
INSIDE = "keep the images in its folder, or folders in it, and write their paths from there"
LONGEST = 300
"""Characters of a path that a message shows."""

Group = TypeVar("Group")


class RowGroups(Generic[Group]):
    """Rows of Parquet files in order; of these, one row group is held in memory.

    Args:
        files: The files of one split.
        columns: Returns the columns of the inputs of a file.
    """

    def __init__(self, files: Sequence[Path], columns: Callable[[Path], Sequence[str]]) -> None:
        self._columns = {file: columns(file) for file in files}
        self._groups: list[tuple[Path, int, int]] = []  # File, number of the row group, first row.
        starts = [0]
        for file in files:
            metadata, first = opened(file).metadata, 0
            for number in range(metadata.num_row_groups):
                rows = metadata.row_group(number).num_rows
                if rows:
                    self._groups.append((file, number, first))
                    starts.append(starts[-1] + rows)
                    first += rows
        self._starts = np.array(starts, dtype=np.int64)
        self._kept: tuple[int, Group] | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._starts[-1])

    def place(self, position: int) -> str:
        """Return the location of a row, for messages."""
        group = self._group_of(position)
        file, _, first = self._groups[group]
        return f"{file}, row {first + position - int(self._starts[group])}"

    def _group_of(self, position: int) -> int:
        return int(np.searchsorted(self._starts, position, side="right")) - 1

    def _group(self, number: int) -> Group:
        if self._kept is None or self._kept[0] != number:
            file, group, _ = self._groups[number]
            self._kept = (number, self._read(file, group, int(self._starts[number])))
        return self._kept[1]

    def _read(self, file: Path, group: int, start: int) -> Group:
        raise NotImplementedError


class ParquetRows(RowGroups["list[bytes | Path | None]"]):
    """Encoded images of Parquet files; a row without bytes may name a file in the folder of the Parquet file."""

    def fetch(self, index: NDArray[np.int64]) -> list[Encoded]:
        """Return the encoded images at some positions; ascending positions read each row group once.

        Raises:
            DataError: A file cannot be read, or an image is missing.
        """
        found: list[Encoded] = []
        for position in index.tolist():
            group = self._group_of(position)
            data = self._group(group)[position - int(self._starts[group])]
            if data is None:
                raise DataError("the image is missing", where=self.place(position), hint=AGAIN)
            found.append(
                (data, self.place(position)) if isinstance(data, bytes) else self._named(position, data)
            )
        return found

    def linked(self) -> Iterator[Encoded]:
        """Yield the content of the files that rows name.

        Raises:
            DataError: One of them cannot be read.
        """
        for number, (file, group, _) in enumerate(self._groups):
            if not _all_bytes(opened(file).metadata.row_group(group), self._columns[file][0]):
                for position, data in enumerate(self._group(number), int(self._starts[number])):
                    if isinstance(data, Path):
                        yield self._named(position, data)

    def _named(self, position: int, path: Path) -> Encoded:
        """Return the content of a file that a row names, and both as its location; a name that is long is cut."""
        root, named = self._groups[self._group_of(position)][0].parent, str(path)
        shown = named if len(named) <= LONGEST and named.isprintable() else f"{named[:LONGEST]!a}..."
        where = f"{self.place(position)}: {shown}"
        whole = Path(os.path.abspath(path))  # Without "..", and with what is a link in it.
        if not any(whole.is_relative_to(folder) for folder in (root.absolute(), root.resolve())):
            raise DataError("is outside the folder of the Parquet file", where=where, hint=INSIDE)
        return read_file(whole, where), where

    def _read(self, file: Path, group: int, start: int) -> list[bytes | Path | None]:  # noqa: ARG002 - the base's
        column = column_of(file, self._columns[file][0], group)
        found: list[bytes | Path | None] = []
        for chunk in column.chunks:
            if not pa.types.is_struct(chunk.type):
                found += [file.parent / data if isinstance(data, str) else data for data in chunk.to_pylist()]
                continue
            paths = [None] * len(chunk)
            if chunk.type.get_field_index("path") >= 0 and chunk.field("bytes").null_count:
                paths = chunk.field("path").to_pylist()
            packed = zip(chunk.field("bytes").to_pylist(), paths, strict=True)
            found += [file.parent / path if data is None and path else data for data, path in packed]
        return found


def _all_bytes(row_group: Any, name: str) -> bool:
    """Return whether the metadata says that every row of a struct holds bytes."""
    for number in range(row_group.num_columns):
        column = row_group.column(number)
        if _path(column) == f"{name}.bytes" and column.statistics is not None:
            return bool(column.statistics.has_null_count and column.statistics.null_count == 0)
    return False


class ParquetArrays(RowGroups["NDArray[Any]"]):
    """Arrays of Parquet files: a column of lists, nested for several axes, or columns of numbers, one row an input."""

    @cached_property
    def layout(self) -> Layout:
        """How they are read, from the first row group."""
        first = self._group(0)
        return layout_of(first.dtype, first.shape[1:], self.place(0))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self), *self.layout.inputs.shape)

    @property
    def dtype(self) -> str:
        """Type of an input, "uint8" or "float32"."""
        return self.layout.inputs.dtype

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the inputs at some positions; ascending positions read each row group once.

        Raises:
            DataError: A file cannot be read, or a row is missing or of another shape.
        """
        found = np.empty((len(index), *self.layout.inputs.shape), dtype=self.dtype)
        groups = np.searchsorted(self._starts, index, side="right") - 1
        for number in np.unique(groups).tolist():
            chosen = groups == number
            values = self._group(number)
            wanted = layout_of(values.dtype, values.shape[1:], self.place(int(self._starts[number])))
            if wanted.inputs != self.layout.inputs:
                what = f"the input is {wanted.inputs}, the first one {self.layout.inputs}"
                raise DataError(what, where=self.place(int(self._starts[number])), hint=AGAIN)
            found[chosen] = wanted.convert(values[index[chosen] - self._starts[number]])
        return found

    def _read(self, file: Path, group: int, start: int) -> NDArray[Any]:
        parts = [self._stacked(column_of(file, name, group), start) for name in self._columns[file]]
        return parts[0] if len(parts) == 1 else np.stack([part.astype(np.float64) for part in parts], axis=1)

    def _stacked(self, column: Any, start: int) -> NDArray[Any]:
        values, shape = column.combine_chunks(), [len(column)]
        tensors = values.type if isinstance(values.type, pa.FixedShapeTensorType) else None
        values = values if tensors is None else values.storage
        encoded = values.type in (pa.list_(pa.uint8()), pa.large_list(pa.uint8()))
        hint = f"{AGAIN}; encoded images are of type binary" if encoded else AGAIN
        while is_list(values.type):
            lengths = pc.list_value_length(values)
            other = pc.index(pc.fill_null(pc.not_equal(lengths, lengths[0]), True), True).as_py()
            if other >= 0:
                row = start + other // int(np.prod(shape[1:]))
                found = "missing" if not lengths[other].is_valid else "of another shape than the first one"
                raise DataError(f"the input is {found}", where=self.place(row), hint=hint)
            shape.append(lengths[0].as_py())
            values = values.flatten()
        empty = pc.index(values.is_null(), True).as_py()
        if empty >= 0:
            row = start + empty // int(np.prod(shape[1:]))
            raise DataError("the input lacks a number", where=self.place(row), hint=AGAIN)
        stored: NDArray[Any] = np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)
        if tensors is None:
            return stored
        axes = tensors.permutation or range(len(tensors.shape))  # Of the shape in which they are stored.
        return stored.reshape(len(stored), *tensors.shape).transpose(0, *(axis + 1 for axis in axes))
