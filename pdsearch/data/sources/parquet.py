"""How are images read from Parquet files? See `pdsearch.data.parquet_layout` for the files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pdsearch.data.encoded import pair
from pdsearch.data.parquet_layout import (
    LAYOUT,
    OPTIONS,
    class_names,
    files_of,
    image_column,
    label_column,
    opened,
    test_split,
)
from pdsearch.data.parquet_rows import ParquetRows
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.options import Options
from pdsearch.specs import DataSpec

__all__ = ["Parquet"]


@dataclass(frozen=True)
class Parquet:
    """Encoded images (PNG, JPEG, ...) of one square size, with their labels.

    Options: `label` names the column of labels where there are several; `test` the split to test on ("test").

    Source:
        The layout that Hugging Face `datasets` writes.
    """

    options: ClassVar[Options] = OPTIONS

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of the files' bytes and of the label column's name."""
        train, test = files_of(spec, "train"), files_of(spec, test_split(spec))
        content = hashlib.sha256(label_column(train[0], spec).encode())
        for part in (train, test):
            content.update(f"|{len(part)}".encode())
            for file in part:
                content.update(f"|{file.stat().st_size}|".encode())
                with file.open("rb") as stream:
                    content.update(hashlib.file_digest(stream, "sha256").digest())
        return content.hexdigest()

    def read(self, spec: DataSpec) -> RawData:
        """Return the set, its images decoded when asked for; grey (one channel) only if every image is."""
        train, test = files_of(spec, "train"), files_of(spec, test_split(spec))
        label = label_column(train[0], spec)
        names = class_names(pq.read_schema(train[0]), label)
        parts = [(ParquetRows(files), _labels(files, label)) for files in (train, test)]
        classes = names or tuple(str(number) for number in range(1 + max(int(y.max()) for _, y in parts)))
        for rows, labels in parts:
            _check(rows, labels, classes)
        (ours, train_labels), (theirs, test_labels) = parts
        images = pair((ours.fetch, len(ours)), (theirs.fetch, len(theirs)), side=None)
        return RawData(images[0], train_labels, images[1], test_labels, classes)


def _labels(files: list[Path], label: str) -> NDArray[np.int64]:
    """Return the labels of all files, in order."""
    labels = []
    for file in files:
        image_column(file)
        if label not in opened(file).schema_arrow.names:
            raise DataError(f"no column {label!r}, which the training set has", where=str(file), hint=LAYOUT)
        labels.append(_integers(opened(file).read([label]).column(label), file, label))
    found = np.concatenate(labels)
    if not len(found):
        raise DataError("the file holds no images", where=str(files[0]), hint=LAYOUT)
    return found


def _check(rows: ParquetRows, labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(wrong):
        what = f"label {labels[wrong[0]]} of {len(classes)} classes"
        hint = "labels count from 0 in the order of the names in the file's schema"
        raise DataError(what, where=rows.place(int(wrong[0])), hint=hint)


def _integers(column: Any, file: Path, label: str) -> NDArray[np.int64]:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataError(f"{label} is missing", where=f"{file}, row {row}", hint="write the set again")
    return np.asarray(column.to_numpy(), dtype=np.int64)


sources.add("parquet")(Parquet())
