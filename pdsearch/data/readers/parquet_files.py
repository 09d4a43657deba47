"""Parquet sets: files, columns and class names as Hugging Face `datasets` writes them.

A folder holds `train.parquet` and `test.parquet`, or shards of them (`train-00000-of-00002.parquet`), with a column of
labels and a column `img` or `image` of encoded images (struct<bytes: binary, path: string>, binary, or the path of a
file in the folder of the Parquet file), or a column of arrays of one shape (lists of numbers).
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pdsearch.data.options import cut_for_test, not_read, root_of, source_options
from pdsearch.data.readers.labels import LabelColumn, Labels, is_binary, is_text, numbered
from pdsearch.data.readers.parquet_rows import LAYOUT, column_of, is_list, opened
from pdsearch.errors import ConfigError, DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

OPTIONS = Options({"label": str, "image": str, "inputs": Any, "test": str})
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
    root = root_of(spec)
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
    has_test = named or bool(_files_in(root_of(spec), split))
    others = {SHARD.sub("", file.stem) for file in root_of(spec).glob("*.parquet")} - {TRAIN, split}
    hint = f"put {split}.parquet there" + (
        f", or name a split to test on in data.options.test ({', '.join(sorted(others))})" if others else ""
    )
    if cut_for_test(spec, has_test=has_test, where=str(root_of(spec) / f"{split}.parquet"), hint=hint):
        return train, []
    return train, files_of(spec, split)


def unread(spec: DataSpec, files: Sequence[Path]) -> Iterable[str]:
    """Yield a note on Parquet files beside those of a set."""
    return not_read(sorted(path.name for path in {*root_of(spec).glob("*.parquet")} - {*files}))


def _files_in(root: Path, split: str) -> list[Path]:
    whole = root / f"{split}.parquet"
    return [whole] if whole.exists() and not whole.is_dir() else sorted(root.glob(f"{split}-*.parquet"))


def _refuse_gaps(files: list[Path]) -> None:
    """Raise if shards are missing: an interrupted download would silently give a smaller set."""
    named = [SHARD.search(file.stem) for file in files]
    found = sorted((int(match[1]), int(match[2])) for match in named if match)
    if found and found != [(number, len(files)) for number in range(len(files))]:
        hint = f"found: {', '.join(file.name for file in files)}"
        raise DataError("shards are missing, or of two sets", where=str(files[0].parent), hint=hint)


@dataclass(frozen=True)
class InputColumns:
    """The columns that hold the inputs of a set.

    Args:
        names: One column of images or arrays, or several of numbers, which together are the rows of a table.
        encoded: Whether it holds encoded images: structs with bytes, bytes, or paths of files.
    """

    names: tuple[str, ...]
    encoded: bool


def input_columns(file: Path, spec: DataSpec) -> InputColumns:
    """Return the columns of inputs of a file.

    They are those that the options `image` or `inputs` name; or the column img or image, or the only one of structs
    with bytes; or the only one of lists of numbers.

    Raises:
        ConfigError: An option names no such column, or both are given.
        DataError: No column is possible, or several are.
    """
    schema, options = opened(file).schema_arrow, source_options(spec, OPTIONS)
    named, wanted = options.get("image"), options.get("inputs")
    if named is not None and wanted is not None:
        raise ConfigError(
            "image and inputs name the inputs both", where="data.options.inputs", hint="leave one out"
        )
    if named is not None:
        return InputColumns((_known(schema, named, _holds_images, "image", file),), encoded=True)
    if wanted is not None:
        several = isinstance(wanted, list | tuple)
        fits = _is_number if several else _holds_numbers
        names = tuple(
            _known(schema, name, fits, "inputs", file) for name in (wanted if several else [wanted])
        )
        return InputColumns(names, encoded=False)
    usual = [name for name in IMAGE_COLUMNS if schema.get_field_index(name) >= 0]
    for name in sorted(usual, key=lambda name: is_text(schema.field(name).type)):
        if _holds_images(schema.field(name).type):
            return InputColumns((name,), encoded=True)
    packed = [field.name for field in schema if pa.types.is_struct(field.type) and _holds_images(field.type)]
    lists = [field.name for field in schema if is_list(field.type) and _holds_numbers(field.type)]
    if len(packed) == 1 or (not packed and len(lists) == 1):
        return InputColumns((str((packed or lists)[0]),), encoded=bool(packed))
    found = packed or lists
    what = (
        f"several columns may hold the inputs: {', '.join(found)}"
        if found
        else (f"no column of images or arrays among {', '.join(schema.names)}")
    )
    raise DataError(
        what, where=str(file), hint=f"{LAYOUT}; data.options.image or data.options.inputs names it"
    )


def _known(schema: Any, name: object, fits: Callable[[Any], bool], option: str, file: Path) -> str:
    where = f"data.options.{option}"
    if not isinstance(name, str) or schema.get_field_index(name) < 0:
        hint = f"its columns: {', '.join(schema.names)}"
        raise ConfigError(f"no column {name!r} in {file}", where=where, hint=hint)
    if not fits(schema.field(name).type):
        held = "images" if option == "image" else "numbers"
        what = f"the column {name} of {file} is of type {schema.field(name).type}, which holds no {held}"
        raise ConfigError(what, where=where, hint=LAYOUT)
    return name


def _holds_images(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and is_binary(kind.field("bytes").type)
    return is_binary(kind) or is_text(kind)


def _holds_numbers(kind: Any) -> bool:
    while is_list(kind):
        kind = kind.value_type
    return _is_number(kind)


def _is_number(kind: object) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def read_labels(train: Sequence[Path], test: Sequence[Path], label: str) -> Labels:
    """Read the labels of all files.

    Raises:
        DataError: A label is missing or invalid, or files contradict one another; the message says file and row.
    """
    columns = {file: _labels_of(file, label) for file in (*train, *test)}
    for part in (train, test):
        if part and not sum(len(columns[file].values) for file in part):
            raise DataError("the file holds no images", where=str(part[0]), hint=LAYOUT)
    names: dict[tuple[str, ...], Path] = {}
    for file in columns:
        names.setdefault(class_names(opened(file).schema_arrow, label), file)
    names.pop((), None)
    if len(names) > 1:
        first, second = [*names.values()][:2]
        hint = "write all files with the same names in the same order"
        raise DataError(f"its schema names other classes than {first.name}", where=str(second), hint=hint)
    ours, theirs = ([columns[file] for file in part] for part in (train, test))
    return numbered(ours, theirs, next(iter(names), ()))


def _labels_of(file: Path, label: str) -> LabelColumn:
    if label not in opened(file).schema_arrow.names:
        raise DataError(f"no column {label!r}, which the training set has", where=str(file), hint=LAYOUT)
    return LabelColumn(column_of(file, label), label, str(file))


def class_names(schema: Any, label: str) -> tuple[str, ...]:
    """Return the class names in a schema for a label column; () if it has none."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return tuple(str(name) for name in stored["info"]["features"][label]["names"])
    except (ValueError, KeyError, TypeError):
        return ()


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
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        what = f"several columns are called {twice[0]}"
        raise DataError(what, where=str(file), hint="write the set again, each column with a name of its own")
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
    right = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or is_text(kind)
    name = field.name.lower()
    return bool(right) and name not in {*ABOUT_AN_IMAGE, *IMAGE_COLUMNS} and not name.endswith(ABOUT_ENDINGS)
