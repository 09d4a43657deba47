"""Parquet sets: files, columns and class names as Hugging Face `datasets` writes them, and their rows.

A folder holds `train.parquet` and `test.parquet`, or shards of them (`train-00000-of-00002.parquet`), with a column
`img` or `image` of encoded images (struct<bytes: binary, path: string>, or binary) and a column of labels.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pdsearch.data.options import cut_for_test, source_options
from pdsearch.data.parquet_column import LAYOUT, column_of, opened
from pdsearch.data.readers.decode import Encoded
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

__all__ = [
    "OPTIONS",
    "ParquetRows",
    "files_of",
    "image_column",
    "is_binary",
    "label_column",
    "other_label_columns",
    "splits_of",
    "test_split",
]

OPTIONS = Options({"label": str, "test": str})
TRAIN = "train"
IMAGE_COLUMNS = ("img", "image")
USUAL = ("label", "fine_label")
LABEL_COLUMNS = frozenset(
    {
        *USUAL,
        *("labels", "fine_labels", "label_id", "label_name", "class", "classes", "class_id", "class_name"),
        *("class_label", "category", "category_id", "target", "targets", "y"),
    }
)
"""Names of label columns, whatever their types."""

ABOUT_AN_IMAGE = frozenset(
    {
        *("width", "height", "w", "h", "depth", "channels", "size", "format", "mode", "dpi"),
        *("id", "idx", "index", "uid", "uuid", "key", "hash", "md5", "sha1", "sha256", "split", "fold"),
        *("path", "file", "filename", "name", "url", "uri", "source", "license", "author", "date", "year"),
        *("time", "timestamp", "caption", "text", "description", "title", "count", "number", "weight"),
    }
)
ABOUT_ENDINGS = ("_id", "_idx", "_index", "_width", "_height", "_path", "_name", "_url", "_size", "_hash")
"""Name endings of columns that hold no labels despite a fitting type: used only if named explicitly."""

SHARD = re.compile(r"-(\d+)-of-(\d+)")


def test_split(spec: DataSpec) -> str:
    """Return the name of the split to test on: the option `test`, or "test"."""
    return str(source_options(spec, OPTIONS).get("test", "test"))


def files_of(spec: DataSpec, split: str) -> list[Path]:
    """Return the files of a split, in order.

    Raises:
        ConfigError: The spec names no folder.
        DataError: There are none, or shards are missing.
    """
    root = _root(spec)
    files = _files_in(root, split)
    if not files:
        where = str(root / f"{split}.parquet")
        raise DataError("no such file", where=where, hint="put it there, or set data.root to its folder")
    _refuse_gaps(files)
    return files


def splits_of(spec: DataSpec) -> tuple[list[Path], list[Path]]:
    """Return the training files and the test files; no test files if test images are to be cut off.

    Raises:
        ConfigError: The spec names no folder; or `test_fraction` is set although there are test images.
        DataError: Files are missing.
    """
    train, named = files_of(spec, TRAIN), "test" in dict(spec.options)
    split = test_split(spec)
    has_test = named or bool(_files_in(_root(spec), split))
    others = {SHARD.sub("", file.stem) for file in _root(spec).glob("*.parquet")} - {TRAIN, split}
    hint = f"put {split}.parquet there" + (
        f", or name a split to test on in data.options.test ({', '.join(sorted(others))})" if others else ""
    )
    if cut_for_test(spec, has_test=has_test, where=str(_root(spec) / f"{split}.parquet"), hint=hint):
        return train, []
    return train, files_of(spec, split)


def _root(spec: DataSpec) -> Path:
    if spec.root is None:
        hint = f"set data.root to the folder of train.parquet and {test_split(spec)}.parquet"
        raise ConfigError("the source parquet needs a folder", where="data.root", hint=hint)
    return Path(spec.root).expanduser()


def _files_in(root: Path, split: str) -> list[Path]:
    whole = root / f"{split}.parquet"
    return [whole] if whole.is_file() else sorted(root.glob(f"{split}-*.parquet"))


def _refuse_gaps(files: list[Path]) -> None:
    """Raise if shards are missing: an interrupted download would silently give a smaller set."""
    named = [SHARD.search(file.stem) for file in files]
    found = sorted((int(match[1]), int(match[2])) for match in named if match)
    if found and found != [(number, len(files)) for number in range(len(files))]:
        hint = f"found: {', '.join(file.name for file in files)}"
        raise DataError("shards are missing, or of two sets", where=str(files[0].parent), hint=hint)


def image_column(file: Path) -> str:
    """Return the name of the column of images: img or image, or the only one of struct<bytes>.

    Raises:
        DataError: There is none.
    """
    schema = opened(file).schema_arrow
    for name in IMAGE_COLUMNS:
        if schema.get_field_index(name) >= 0 and _holds_bytes(schema.field(name).type):
            return name
    packed = [field.name for field in schema if pa.types.is_struct(field.type) and _holds_bytes(field.type)]
    if len(packed) == 1:
        return str(packed[0])
    raise DataError(f"no image column among {', '.join(schema.names)}", where=str(file), hint=LAYOUT)


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and is_binary(kind.field("bytes").type)
    return is_binary(kind)


def is_binary(kind: Any) -> bool:
    """Return whether values of a type are bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def label_column(file: Path, spec: DataSpec) -> str:
    """Return the name of the column of labels.

    It is the one that the option `label` names; or the only one with a usual label name, `label` and `fine_label`
    before all others; or the only column of integers, strings or booleans whose name is not that of other metadata of
    images.

    Raises:
        ConfigError: The option names no column, or several columns are possible.
        DataError: No column is possible.
    """
    schema = opened(file).schema_arrow
    wanted = source_options(spec, OPTIONS).get("label")
    if wanted is not None:
        if schema.get_field_index(wanted) < 0:
            hint = f"its columns: {', '.join(schema.names)}"
            raise ConfigError(f"no column {wanted!r} in {file}", where="data.options.label", hint=hint)
        return str(wanted)
    named = [name for name in schema.names if name.lower() in LABEL_COLUMNS]
    usual = [name for name in named if name.lower() in USUAL]
    possible = usual or named or [field.name for field in schema if _may_be_labels(field)]
    if len(possible) > 1:
        hint = f"name the column of labels in data.options.label: {', '.join(possible)}"
        raise ConfigError(
            f"several columns of {file} may hold the labels", where="data.options.label", hint=hint
        )
    if not possible:
        what = f"no column of labels among {', '.join(schema.names)}"
        raise DataError(what, where=str(file), hint="name it in data.options.label")
    return str(possible[0])


def other_label_columns(file: Path, label: str) -> list[str]:
    """Return the other columns with usual label names."""
    return [n for n in opened(file).schema_arrow.names if n != label and n.lower() in LABEL_COLUMNS]


def _may_be_labels(field: Any) -> bool:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    right = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    right = right or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    name = field.name.lower()
    return bool(right) and name not in {*ABOUT_AN_IMAGE, *IMAGE_COLUMNS} and not name.endswith(ABOUT_ENDINGS)


class ParquetRows:
    """The images of Parquet files, in order; one row group is held encoded in memory.

    Args:
        files: The files of one split.
    """

    def __init__(self, files: Sequence[Path]) -> None:
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
        self._kept: tuple[int, list[bytes | None]] = (-1, [])

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self._starts[-1])

    def place(self, position: int) -> str:
        """Return the location of an image, for messages."""
        group = self._group_of(position)
        file, _, first = self._groups[group]
        return f"{file}, row {first + position - int(self._starts[group])}"

    def fetch(self, index: NDArray[np.int64]) -> list[Encoded]:
        """Return the encoded images at some positions; ascending positions read each row group once.

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
