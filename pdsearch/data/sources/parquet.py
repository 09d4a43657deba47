"""Images in Parquet files; `pdsearch.data.readers.parquet_files` describes the files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pdsearch.data.readers.encoded import any_turned, pair
from pdsearch.data.readers.parquet_files import (
    OPTIONS,
    ParquetRows,
    label_column,
    other_label_columns,
    splits_of,
)
from pdsearch.data.readers.parquet_labels import read_labels
from pdsearch.data.registry import RawData, sources
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

__all__ = ["Parquet"]


@dataclass(frozen=True)
class Parquet:
    """Encoded images (PNG, JPEG, ...) of one square size, with their labels: whole numbers, words, or true and false.

    Options: `label` names the column of labels where none is called `label` or as labels usually are, or several are;
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
                content.update(f"|{file.stat().st_size}|".encode())
                with file.open("rb") as stream:
                    content.update(hashlib.file_digest(stream, "sha256").digest())
        if read_labels(train, test, label).renumbered:
            content.update(b"|renumbered")
        if any_turned(*((rows.fetch, len(rows)) for rows in map(ParquetRows, (train, test)))):
            content.update(b"|upright")
        return content.hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return the set, with images decoded when indexed; grey (one channel) only if every image is."""
        train, test = splits_of(spec)
        label = label_column(train[0], spec)
        found = read_labels(train, test, label)
        ours, theirs = map(ParquetRows, (train, test))
        images = pair((ours.fetch, len(ours)), (theirs.fetch, len(theirs)), side=None)
        notes = (*_other_columns(train[0], label, spec), *found.notes, *images[0].notes)
        return RawData(images[0], found.train, images[1], found.test, found.classes, notes)


def _other_columns(file: Path, label: str, spec: DataSpec) -> Iterable[str]:
    """Yield a note on which column the labels are taken from if others are possible."""
    others = other_label_columns(file, label)
    if others and "label" not in dict(spec.options):
        more = ", ".join(others)
        yield f"labels are those of the column {label}; data.options.label can name another: {more}"


sources.add("parquet")(Parquet())
