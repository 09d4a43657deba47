"""How are images read from Parquet files? See `pdsearch.data.parquet_layout` for the files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pdsearch.data.decode import decode, is_grey
from pdsearch.data.parquet_layout import (
    LAYOUT,
    class_names,
    files_of,
    image_column,
    label_column,
    opened,
    test_split,
)
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.specs import DataSpec

__all__ = ["Parquet"]


@dataclass(frozen=True)
class Parquet:
    """Encoded images (PNG, JPEG, ...) of one square size, with their labels.

    Options: `label` names the column of labels where there are several; `test` the split to test on ("test").
    """

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
        """Read both splits and decode all images; grey (one channel) only if every image is."""
        train, test = files_of(spec, "train"), files_of(spec, test_split(spec))
        label = label_column(train[0], spec)
        names = class_names(pq.read_schema(train[0]), label)
        tables = [_Part.read(train, label), _Part.read(test, label)]
        classes = names or tuple(str(index) for index in range(max(part.highest for part in tables) + 1))
        for part in tables:
            part.check_labels(classes)
        grey = all(is_grey(data, where) for part in tables for data, where in part.encoded)
        images = [decode(part.encoded, grey=grey) for part in tables]
        if images[0].shape[1:] != images[1].shape[1:]:
            sizes = " and ".join("x".join(map(str, stack.shape[2:])) for stack in images)
            raise DataError(f"training and test images differ in size: {sizes}", where=spec.root)
        return RawData(images[0], tables[0].labels, images[1], tables[1].labels, classes)


@dataclass(frozen=True)
class _Part:
    """One split as stored: encoded images, each with its place for messages, and labels."""

    encoded: list[tuple[bytes, str]]
    labels: NDArray[np.int64]

    @classmethod
    def read(cls, files: list[Path], label: str) -> "_Part":
        encoded: list[tuple[bytes, str]] = []
        labels: list[NDArray[np.int64]] = []
        for file in files:
            image = image_column(file)
            if label not in opened(file).schema_arrow.names:
                raise DataError(
                    f"no column {label!r}, which the training set has", where=str(file), hint=LAYOUT
                )
            table = opened(file).read([image, label])
            labels.append(_integers(table.column(label), file, label))
            for row, data in enumerate(_bytes(table.column(image))):
                where = f"{file}, row {row}"
                if data is None:
                    raise DataError("the image is missing", where=where, hint="write the set again")
                encoded.append((data, where))
        if not encoded:
            raise DataError("the file holds no images", where=str(files[0]), hint=LAYOUT)
        return cls(encoded, np.concatenate(labels))

    @property
    def highest(self) -> int:
        return int(self.labels.max())

    def check_labels(self, classes: tuple[str, ...]) -> None:
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= len(classes)))
        if len(wrong):
            row = int(wrong[0])
            hint = "labels count from 0 in the order of the names in the file's schema"
            raise DataError(
                f"label {self.labels[row]} of {len(classes)} classes", where=self.encoded[row][1], hint=hint
            )


def _integers(column: Any, file: Path, label: str) -> NDArray[np.int64]:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataError(f"{label} is missing", where=f"{file}, row {row}", hint="write the set again")
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _bytes(column: Any) -> list[bytes | None]:
    return [data for chunk in column.chunks for data in chunk.field("bytes").to_pylist()]


sources.add("parquet")(Parquet())
