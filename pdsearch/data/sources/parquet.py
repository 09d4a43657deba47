"""Images or arrays in Parquet files; `pdsearch.data.readers.parquet_files` describes the files."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from pdsearch.data.readers.arrays import checked
from pdsearch.data.readers.encoded import any_turned, pair
from pdsearch.data.readers.labels import Labels
from pdsearch.data.readers.parquet_files import (
    OPTIONS,
    input_columns,
    label_column,
    other_label_columns,
    read_labels,
    splits_of,
    unread,
)
from pdsearch.data.readers.parquet_rows import LAYOUT, ParquetArrays, ParquetRows
from pdsearch.data.readers.regular_files import digest_of
from pdsearch.data.registry import Images, RawData, sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options


@dataclass(frozen=True)
class Parquet:
    """Encoded images (PNG, JPEG, ...) of one size, or arrays of one shape (lists of numbers), with their labels.

    Options: `label` names the column of labels where none is called `label` or as labels usually are, or several are;
    `image` the column of images; `inputs` that of arrays, or several of numbers, which make a row each;
    `test` the split to test on ("test"). Where there is none, `data.test_fraction` cuts test images off.

    Source:
        The layout that Hugging Face `datasets` writes.
    """

    options: ClassVar[Options] = OPTIONS

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of files, label column name, and marks of what earlier versions read differently."""
        train, test = splits_of(spec)
        label = label_column(train[0], spec)
        content = hashlib.sha256(label.encode())
        for part in (train, test):
            content.update(f"|{len(part)}".encode())
            for file in part:
                content.update(f"|{file.stat().st_size}|".encode() + digest_of(file, LAYOUT))
        if read_labels(train, test, label).renumbered:
            content.update(b"|renumbered")
        if _encoded([*train, *test], spec):
            parts = [ParquetRows(part, _columns(spec)) for part in (train, test)]
            for data, _ in chain(*(rows.linked() for rows in parts)):
                content.update(hashlib.sha256(data).digest())
            if any_turned(*((rows.fetch, len(rows)) for rows in parts)):
                content.update(b"|upright")
        return content.hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return the set, with inputs read when indexed; images are grey (one channel) only if every one is."""
        train, test = splits_of(spec)
        label = label_column(train[0], spec)
        found = read_labels(train, test, label)
        notes = (*_other_columns(train[0], label, spec), *unread(spec, [*train, *test]), *found.notes)
        if not _encoded([*train, *test], spec):
            return _arrays(train, test, _columns(spec), found, notes)
        ours, theirs = (ParquetRows(part, _columns(spec)) for part in (train, test))
        images = pair((ours.fetch, len(ours)), (theirs.fetch, len(theirs)), side=None)
        return RawData(
            images[0], found.train, images[1], found.test, found.classes, (*notes, *images[0].notes)
        )


def _columns(spec: DataSpec) -> Callable[[Path], Sequence[str]]:
    return lambda file: input_columns(file, spec).names


def _encoded(files: Sequence[Path], spec: DataSpec) -> bool:
    """Return whether the files of a set hold encoded images.

    Raises:
        DataError: Some do and some do not.
    """
    first = input_columns(files[0], spec).encoded
    for file in files:
        if input_columns(file, spec).encoded != first:
            what = f"it holds {'arrays' if first else 'images'}, {files[0].name} not"
            raise DataError(what, where=str(file), hint="write all files alike")
    return first


def _arrays(
    train: Sequence[Path],
    test: Sequence[Path],
    columns: Callable[[Path], Sequence[str]],
    labels: Labels,
    notes: tuple[str, ...],
) -> RawData:
    ours = ParquetArrays(train, columns)
    theirs: Images = ParquetArrays(test, columns) if test else np.empty((0, *ours.shape[1:]), ours.dtype)
    read = (*notes, *ours.layout.notes())
    return checked(
        RawData(ours, labels.train, theirs, labels.test, labels.classes, read), str(train[0].parent)
    )


def _other_columns(file: Path, label: str, spec: DataSpec) -> Iterable[str]:
    """Yield a note on which column the labels are taken from if others are possible."""
    others = other_label_columns(file, label)
    if others and "label" not in dict(spec.options):
        more = ", ".join(others)
        yield f"labels are those of the column {label}; data.options.label can name another: {more}"


sources.add("parquet")(Parquet())
