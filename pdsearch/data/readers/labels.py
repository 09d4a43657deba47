"""Labels as class indices from 0, with class names, of columns of any usual type.

Integers are class indices: 0 to the largest, or, if most of these have no image, the existing ones renumbered. Strings
and booleans are class names, in alphabetical order. If the set names its classes, as Hugging Face's `ClassLabel` does,
integers index that list.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pdsearch.errors import DataError

LARGEST = 1_000_000
"""Limit of class indices; larger numbers are taken for image identifiers."""

FEW, NEARLY_ALL = 20, 0.9
"""From FEW images on, labels are taken for image identifiers if more than this share of them are distinct."""

UNLABELLED = "leave images without a label out, or test on a split that has labels"
UNKNOWN_CLASS = "no training image is of the class {}"
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


def numbered(
    train: Sequence["LabelColumn"], test: Sequence["LabelColumn"], names: tuple[str, ...] = ()
) -> Labels:
    """Return the labels of all columns of a set.

    Args:
        train: Those of the training images.
        test: Those of the test images; there may be none.
        names: The class names that the set declares; () if it declares none.

    Raises:
        DataError: A label is invalid, or columns contradict one another; the message says where, with the row.
    """
    columns = [*train, *test]
    for other in columns:
        if other.words != columns[0].words:
            what = f"{other.name} is of type {other.kind}, in {Path(columns[0].where).name} {columns[0].kind}"
            raise DataError(what, where=other.where, hint="write all files alike")
    if columns[0].words:
        return _by_name(train, test)
    return _named(train, test, names) if names else _counted(train, test)


class LabelColumn:
    """The labels of one file or array, as strings or integers.

    Raises:
        DataError: A label is missing or is none.
    """

    def __init__(self, column: Any, name: str, where: str) -> None:
        self.where, self.name, self.kind = where, name, str(column.type)
        self._refuse(column.is_null(nan_is_null=True), lambda _: f"{name} is missing")
        self.words = not _is_number(column.type)
        # Strings of Arrow, or int64 of NumPy.
        self.values: Any = self._as_words(column) if self.words else self._as_numbers(column)

    def place(self, row: int) -> str:
        """Return the location of a label, for messages."""
        return f"{self.where}, row {row}"

    def _as_words(self, column: Any) -> Any:
        try:
            values = column.cast(pa.large_string()) if _is_word(column.type) else None
        except pa.ArrowException:  # Bytes that are not UTF-8.
            values = None
        if values is None:
            what = f"{self.name} is of type {self.kind}, which is no label"
            raise DataError(what, where=self.where, hint=f"write words or numbers, or {OTHER_COLUMN}")
        self._refuse(pc.equal(pc.utf8_trim_whitespace(values), ""), lambda _: f"{self.name} is empty")
        return values

    def _as_numbers(self, column: Any) -> Numbers:
        def too_large(row: int) -> str:
            return f"label {column[row]} is no class: classes are numbers below {LARGEST:,}, or words"

        if pa.types.is_uint64(column.type):  # Not all of its values fit int64.
            self._refuse(pc.greater_equal(column, pa.scalar(LARGEST, pa.uint64())), too_large)
        elif not pa.types.is_integer(column.type):
            column = column.cast(pa.float64())
            whole = pc.equal(column, pc.floor(column))
            self._refuse(pc.invert(whole), lambda row: f"{self.name} {column[row]} is no whole number")
        self._refuse(pc.or_(pc.greater_equal(column, LARGEST), pc.less(column, -LARGEST)), too_large)
        return np.asarray(column.cast(pa.int64()).to_numpy(), dtype=np.int64)

    def _refuse(self, wrong: Any, what: Callable[[int], str]) -> None:
        row = pc.index(wrong, True).as_py()
        if row >= 0:
            raise DataError(what(row), where=self.place(row), hint=f"write the set again, or {OTHER_COLUMN}")


def _is_number(kind: object) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_word(kind: object) -> bool:
    return bool(is_text(kind) or pa.types.is_boolean(kind) or is_binary(kind))


def _by_name(train: Sequence[LabelColumn], test: Sequence[LabelColumn]) -> Labels:
    values = sorted({value for column in train for value in pc.unique(column.values).to_pylist()})
    classes = pa.array(values, pa.large_string())
    _refuse_identifiers(train, len(values))
    numbers = [pc.index_in(column.values, value_set=classes) for column in (*train, *test)]
    for column, found in zip((*train, *test), numbers, strict=True):
        row = pc.index(found.is_null(), True).as_py()
        if row >= 0:
            what = UNKNOWN_CLASS.format(column.values[row])
            raise DataError(what, where=column.place(row), hint="write the set again")
    found = [np.asarray(n.to_numpy(), dtype=np.int64) for n in numbers]
    return Labels(_joined(found[: len(train)]), _joined(found[len(train) :]), tuple(values))


def _named(train: Sequence[LabelColumn], test: Sequence[LabelColumn], names: tuple[str, ...]) -> Labels:
    hint = f"labels count from 0, in the order of the classes' names; {UNLABELLED}"
    what = f"label {{}} of {len(names)} classes"
    _refuse((*train, *test), lambda values: (values < 0) | (values >= len(names)), what, hint)
    return Labels(_joined(c.values for c in train), _joined(c.values for c in test), names)


def _counted(train: Sequence[LabelColumn], test: Sequence[LabelColumn]) -> Labels:
    ours, theirs = (_joined(column.values for column in part) for part in (train, test))
    values = np.unique(np.concatenate([ours, theirs]))
    if values[0] < 0 and values.tolist() != [-1, 1]:
        hint = f"{UNLABELLED}; classes are numbers from 0, or words"
        _refuse((*train, *test), lambda values: values < 0, "label {} is no class", hint)
    _refuse_identifiers(train, len(np.unique(ours)))
    if values[0] >= 0 and values[-1] < 2 * len(values):
        return Labels(ours, theirs, tuple(str(number) for number in range(int(values[-1]) + 1)))
    known = np.unique(ours)
    _refuse(test, lambda values: ~np.isin(values, known), UNKNOWN_CLASS, "write the set again")
    shown = ", ".join(str(value) for value in values[:6].tolist()) + (", ..." if len(values) > 6 else "")
    note = f"labels are the numbers {shown}: {len(values)} classes of these names"
    train_labels, test_labels = (np.searchsorted(values, part).astype(np.int64) for part in (ours, theirs))
    names = tuple(str(value) for value in values.tolist())
    return Labels(train_labels, test_labels, names, renumbered=True, notes=(note,))


def _refuse(columns: Iterable[LabelColumn], wrong: Callable[[Numbers], Any], what: str, hint: str) -> None:
    """Refuse the first label of columns of numbers that is wrong; it is shown where `what` has {}."""
    for column in columns:
        rows = np.flatnonzero(wrong(column.values))
        if len(rows):
            row = int(rows[0])
            raise DataError(what.format(column.values[row]), where=column.place(row), hint=hint)


def _refuse_identifiers(train: Sequence[LabelColumn], classes: int) -> None:
    images = sum(len(column.values) for column in train)
    if images >= FEW and classes > images * NEARLY_ALL:
        what = f"{train[0].name} has {classes:,} values for {images:,} images: it tells images apart, not classes"
        raise DataError(what, where=train[0].where, hint=OTHER_COLUMN)


def _joined(parts: Iterable[Numbers]) -> Numbers:
    found = [*parts]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def is_text(kind: object) -> bool:
    """Return whether values of a type are strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: object) -> bool:
    """Return whether values of a type are bytes."""
    sized = pa.types.is_fixed_size_binary(kind)
    return bool(
        sized or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    )
