"""Encoded images fetched from Parquet files: one row group at a time, the last one kept."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pdsearch.data.decode import Encoded
from pdsearch.data.parquet_column import column_of, opened
from pdsearch.data.parquet_layout import image_column
from pdsearch.errors import DataError

__all__ = ["ParquetRows"]


class ParquetRows:
    """The images of Parquet files, in order; those of one row group lie encoded in memory.

    Args:
        files: The files of one split.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._groups: list[tuple[Path, int, int]] = []  # File, number of the group in it, first row in it.
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
        self._kept: tuple[int, list[bytes | None]] = (-1, [])

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self._starts[-1])

    def place(self, position: int) -> str:
        """Return where an image lies, for messages."""
        group = self._group_of(position)
        file, _, first = self._groups[group]
        return f"{file}, row {first + position - int(self._starts[group])}"

    def fetch(self, index: NDArray[np.int64]) -> list[Encoded]:
        """Return the encoded images at some positions; ascending ones read each row group once.

        Raises:
            DataError: A file cannot be read, or an image is missing.
        """
        found: list[Encoded] = []
        for position in index.tolist():
            group = self._group_of(position)
            data = self._rows(group)[position - int(self._starts[group])]
            if data is None:
                hint = "write the set again"
                raise DataError("the image is missing", where=self.place(position), hint=hint)
            found.append((data, self.place(position)))
        return found

    def _group_of(self, position: int) -> int:
        return int(np.searchsorted(self._starts, position, side="right")) - 1

    def _rows(self, group: int) -> list[bytes | None]:
        if self._kept[0] != group:
            file, number, _ = self._groups[group]
            self._kept = (group, _images(file, number))
        return self._kept[1]


def _images(file: Path, group: int) -> list[bytes | None]:
    chunks = column_of(file, image_column(file), group).chunks
    packed = [chunk.field("bytes") if pa.types.is_struct(chunk.type) else chunk for chunk in chunks]
    return [data for chunk in packed for data in chunk.to_pylist()]
