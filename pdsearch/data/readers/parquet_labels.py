"""Labels of Parquet files: class indices from 0, and class names shared by all files of a set.

Integers are class indices: 0 to the largest, or, if most of these have no image, the existing ones renumbered. Strings
and booleans are class names, in alphabetical order. If the schema of a file names the classes, as Hugging Face's
`ClassLabel` does, integers index that list.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pdsearch.data.parquet_column import LAYOUT, column_of, opened
from pdsearch.data.readers.parquet_files import image_column, is_binary
from pdsearch.errors import DataError

__all__ = ["Labels", "class_names", "read_labels"]

LARGEST = 1_000_000
"""Limit of class indices; larger numbers are taken for image identifiers."""

FEW, NEARLY_ALL = 20, 0.9
"""From FEW images on, labels are taken for image identifiers if more than this share of them are distinct."""

OTHER_COLUMN = "name another column in data.options.label"
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """The labels of a set.

    Args:
        train: Labels of the training images, int64, in the order of the files.
        test: Labels of the test images; may be empty.
        classes: Class names.
        renumbered: Whether they differ from the numbers in the files.
        notes: Notes for the user, a line each.
    """

    train: Numbers
    test: Numbers
    classes: tuple[str, ...]
    renumbered: bool = False
    notes: tuple[str, ...] = ()


def read_labels(train: Sequence[Path], test: Sequence[Path], label: str) -> Labels:
    """Read the labels of all files.

    Args:
        train: The files of the training images.
        test: The files of the test images; may be empty.
        label: The column of labels.

    Raises:
        DataError: A label is missing or invalid, or files contradict one another; the message says file and row.
    """
    columns = [_Column(file, label) for file in (*train, *test)]
    for part in (train, test):
        if part and not sum(len(column) for column in columns if column.file in part):
            raise DataError("the file holds no images", where=str(part[0]), hint=LAYOUT)
    kinds = {column.words: column for column in columns}
    if len(kinds) > 1:
        other = next(column for column in columns if column.words != columns[0].words)
        what = f"{label} is of type {other.kind}, in {columns[0].file.name} {columns[0].kind}"
        raise DataError(what, where=str(other.file), hint="write all files alike")
    names = _names_in_all([column.file for column in columns], label)
    split = len(train)
    if columns[0].words:
        return _by_name(columns[:split], columns[split:])
    if names:
        return _named(columns[:split], columns[split:], names)
    return _counted(columns[:split], columns[split:])


def class_names(schema: Any, label: str) -> tuple[str, ...]:
    """Return the class names in a schema for a label column; () if it has none."""
    try:
        stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return tuple(str(name) for name in stored["info"]["features"][label]["names"])
    except (ValueError, KeyError, TypeError):
        return ()


class _Column:
    """The labels of one file, as strings or integers.

    Args:
        file: The file.
        label: The name of its column.
    """

    def __init__(self, file: Path, label: str) -> None:
        image_column(file)
        if label not in opened(file).schema_arrow.names:
            raise DataError(f"no column {label!r}, which the training set has", where=str(file), hint=LAYOUT)
        self.file, self.label = file, label
        column = column_of(file, label)
        self.kind = str(column.type)
        self._refuse(column.is_null(nan_is_null=True), lambda _: f"{label} is missing")
        self.words = not _is_number(column.type)
        self._values = self._as_words(column) if self.words else self._as_numbers(column)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> Any:
        """An array of strings, or int64."""
        return self._values

    def place(self, row: int) -> str:
        """Return the location of a label, for messages."""
        return f"{self.file}, row {row}"

    def _as_words(self, column: Any) -> Any:
        try:
            values = column.cast(pa.large_string()) if _is_word(column.type) else None
        except pa.ArrowException:  # Bytes that are not UTF-8.
            values = None
        if values is None:
            what = f"{self.label} is of type {self.kind}, which is no label"
            raise DataError(what, where=str(self.file), hint=f"write words or numbers, or {OTHER_COLUMN}")
        self._refuse(pc.equal(pc.utf8_trim_whitespace(values), ""), lambda _: f"{self.label} is empty")
        return values

    def _as_numbers(self, column: Any) -> Numbers:
        def too_large(row: int) -> str:
            return f"label {column[row]} is no class: classes are numbers below {LARGEST:,}, or words"

        if pa.types.is_uint64(column.type):  # Not all of its values fit int64.
            self._refuse(pc.greater_equal(column, pa.scalar(LARGEST, pa.uint64())), too_large)
        elif not pa.types.is_integer(column.type):
            column = column.cast(pa.float64())
            whole = pc.equal(column, pc.floor(column))
            self._refuse(pc.invert(whole), lambda row: f"{self.label} {column[row]} is no whole number")
        self._refuse(pc.or_(pc.greater_equal(column, LARGEST), pc.less(column, -LARGEST)), too_large)
        return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)

    def _refuse(self, wrong: Any, what: Any) -> None:
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            raise DataError(what(row), where=self.place(row), hint=f"write the set again, or {OTHER_COLUMN}")


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_word(kind: Any) -> bool:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(text or pa.types.is_boolean(kind) or is_binary(kind))


def _names_in_all(files: Iterable[Path], label: str) -> tuple[str, ...]:
    """Return the class names, which must be the same in every file that has some."""
    found: dict[tuple[str, ...], Path] = {}
    for file in files:
        found.setdefault(class_names(opened(file).schema_arrow, label), file)
    found.pop((), None)
    if len(found) > 1:
        first, second = [*found.values()][:2]
        hint = "write all files with the same names in the same order"
        raise DataError(f"its schema names other classes than {first.name}", where=str(second), hint=hint)
    return next(iter(found), ())


def _by_name(train: list[_Column], test: list[_Column]) -> Labels:
    values = sorted({value for column in train for value in pc.unique(column.values).to_pylist()})
    classes = pa.array(values, pa.large_string())
    _refuse_identifiers(train, len(values))
    numbers = [pc.index_in(column.values, value_set=classes) for column in (*train, *test)]
    for column, found in zip((*train, *test), numbers, strict=True):
        row = pc.index(found.is_null(), True).as_py()
        if row >= 0:
            what = f"no training image is of the class {column.values[row]}"
            raise DataError(what, where=column.place(row), hint="write the set again")
    found = [np.asarray(n.to_numpy(), dtype=np.int64) for n in numbers]
    return Labels(_joined(found[: len(train)]), _joined(found[len(train) :]), tuple(values))


def _named(train: list[_Column], test: list[_Column], names: tuple[str, ...]) -> Labels:
    for column in (*train, *test):
        wrong = np.flatnonzero((column.values < 0) | (column.values >= len(names)))
        if len(wrong):
            row = int(wrong[0])
            what = f"label {column.values[row]} of {len(names)} classes"
            hint = "labels count from 0 in the order of the names in the file's schema; -1 says that there is none"
            raise DataError(what, where=column.place(row), hint=hint)
    return Labels(_joined(c.values for c in train), _joined(c.values for c in test), names)


def _counted(train: list[_Column], test: list[_Column]) -> Labels:
    ours, theirs = (_joined(column.values for column in part) for part in (train, test))
    values = np.unique(np.concatenate([ours, theirs]))
    if values[0] < 0 and values.tolist() != [-1, 1]:
        _refuse_negative((*train, *test))
    _refuse_identifiers(train, len(np.unique(ours)))
    if values[0] >= 0 and values[-1] < 2 * len(values):
        return Labels(ours, theirs, tuple(str(number) for number in range(int(values[-1]) + 1)))
    _refuse_unknown(test, np.unique(ours))
    shown = ", ".join(str(value) for value in values[:6].tolist()) + (", ..." if len(values) > 6 else "")
    note = f"labels are the numbers {shown}: {len(values)} classes of these names"
    train_labels, test_labels = (np.searchsorted(values, part).astype(np.int64) for part in (ours, theirs))
    names = tuple(str(value) for value in values.tolist())
    return Labels(train_labels, test_labels, names, renumbered=True, notes=(note,))


def _refuse_negative(columns: Iterable[_Column]) -> None:
    for column in columns:
        wrong = np.flatnonzero(column.values < 0)
        if len(wrong):
            row = int(wrong[0])
            hint = "leave images without a label out; classes are numbers from 0, or words"
            raise DataError(f"label {column.values[row]} is no class", where=column.place(row), hint=hint)


def _refuse_unknown(test: Iterable[_Column], known: Numbers) -> None:
    for column in test:
        wrong = np.flatnonzero(~np.isin(column.values, known))
        if len(wrong):
            row = int(wrong[0])
            what = f"no training image is of the class {column.values[row]}"
            raise DataError(what, where=column.place(row), hint="write the set again")


def _refuse_identifiers(train: list[_Column], classes: int) -> None:
    images = sum(len(column) for column in train)
    if images >= FEW and classes > images * NEARLY_ALL:
        what = f"{train[0].label} has {classes:,} values for {images:,} images: it tells images apart, not classes"
        raise DataError(what, where=str(train[0].file), hint=OTHER_COLUMN)


def _joined(parts: Iterable[Numbers]) -> Numbers:
    found = [*parts]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)
