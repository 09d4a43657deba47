"""Which files, columns and class names make up a Parquet set? The layout that Hugging Face `datasets` writes.

A folder holds `train.parquet` and `test.parquet`, or shards of them (`train-00000-of-00002.parquet`), with a
column `img` or `image` of struct<bytes: binary, path: string> and an integer column of labels.
"""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pdsearch.data.options import source_options
from pdsearch.errors import ConfigError, DataError
from pdsearch.options import Options
from pdsearch.specs import DataSpec

__all__ = [
    "LAYOUT",
    "OPTIONS",
    "class_names",
    "files_of",
    "image_column",
    "label_column",
    "opened",
    "test_split",
]

OPTIONS = Options({"label": str, "test": str})
IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")
SHARD = re.compile(r"-(\d+)-of-(\d+)")
LAYOUT = "expected an image column (img or image) of struct<bytes, path> and an integer column of labels"


def test_split(spec: DataSpec) -> str:
    """Return the name of the split to test on: the option `test`, or "test"."""
    return str(source_options(spec, OPTIONS).get("test", "test"))


def files_of(spec: DataSpec, split: str) -> list[Path]:
    """Return the files of a split, in order.

    Raises:
        ConfigError: The spec names no folder.
        DataError: There are none, or shards are missing.
    """
    if spec.root is None:
        hint = f"set data.root to the folder of train.parquet and {test_split(spec)}.parquet"
        raise ConfigError("the source parquet needs a folder", where="data.root", hint=hint)
    root = Path(spec.root).expanduser()
    whole = root / f"{split}.parquet"
    files = [whole] if whole.is_file() else sorted(root.glob(f"{split}-*.parquet"))
    if not files:
        raise DataError("no such file", where=str(whole), hint="put it there, or set data.root to its folder")
    _refuse_gaps(files)
    return files


def _refuse_gaps(files: list[Path]) -> None:
    """A download that was interrupted would be a smaller set, and nobody would notice."""
    named = [SHARD.search(file.stem) for file in files]
    found = sorted((int(match[1]), int(match[2])) for match in named if match)
    if found and found != [(number, len(files)) for number in range(len(files))]:
        hint = f"found: {', '.join(file.name for file in files)}"
        raise DataError("shards are missing, or of two sets", where=str(files[0].parent), hint=hint)


def opened(file: Path) -> Any:
    """Return an open Parquet file.

    Raises:
        DataError: It is none.
    """
    try:
        return pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"no readable Parquet file: {error}", where=str(file), hint=LAYOUT) from error


def image_column(file: Path) -> str:
    """Return the name of the column of images.

    Raises:
        DataError: There is none.
    """
    schema = opened(file).schema_arrow
    for name in IMAGE_COLUMNS:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
                return name
    raise DataError(f"no image column among {', '.join(schema.names)}", where=str(file), hint=LAYOUT)


def label_column(file: Path, spec: DataSpec) -> str:
    """Return the name of the column of labels: the option `label`, the only integer column, or a usual name.

    Raises:
        ConfigError: The option names no integer column, or several columns may be meant.
        DataError: There is no integer column.
    """
    schema = opened(file).schema_arrow
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    wanted = source_options(spec, OPTIONS).get("label")
    if wanted is not None:
        if wanted not in integers:
            hint = f"integer columns: {', '.join(integers)}"
            raise ConfigError(
                f"no integer column {wanted!r} in {file}", where="data.options.label", hint=hint
            )
        return str(wanted)
    if not integers:
        raise DataError(f"no integer column among {', '.join(schema.names)}", where=str(file), hint=LAYOUT)
    usual = integers if len(integers) == 1 else [name for name in LABEL_COLUMNS if name in integers]
    if len(usual) != 1:
        hint = f"name the column of labels in data.options.label: {', '.join(integers)}"
        raise ConfigError(
            f"several columns of {file} may hold the labels", where="data.options.label", hint=hint
        )
    return usual[0]


def class_names(schema: Any, label: str) -> tuple[str, ...]:
    """Return the names of the classes that a schema holds for a label column; () if it holds none."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return tuple(str(name) for name in stored["info"]["features"][label]["names"])
    except (ValueError, KeyError, TypeError):
        return ()
