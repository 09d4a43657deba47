"""Data source `npz`: arrays of one NumPy archive."""

import lzma
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pdsearch.data.options import cut_for_test, root_of, source_options
from pdsearch.data.readers.arrays import ArrayInputs, checked, layout_of
from pdsearch.data.readers.labels import LabelColumn, numbered
from pdsearch.data.readers.parquet_rows import most_unpacked
from pdsearch.data.readers.regular_files import digest_of
from pdsearch.data.registry import Images, RawData, sources
from pdsearch.errors import ConfigError, DataError, StorageError
from pdsearch.io.durable import check_regular
from pdsearch.specs import DataSpec
from pdsearch.user_code import Options

OPTIONS = Options({"inputs": str, "label": str})
INPUTS = ("x", "images", "image", "inputs", "data", "features")
LABELS = ("y", "labels", "label", "targets", "target")
CLASSES = ("classes", "class_names", "target_names")
NAMES = "x_train and y_train, x_test and y_test (or train_images, train_labels, ...), or x and y"
SPLIT = re.compile(
    r"(?:(train|test|val|valid|validation)_)?(.+?)(?:_(train|test|val|valid|validation))?", re.I
)
HINT = f"expected arrays {NAMES}; data.options.inputs and data.options.label name others"
BROKEN = (
    *(OSError, zipfile.BadZipFile, ValueError, EOFError, KeyError, RuntimeError, MemoryError),
    *(struct.error, zlib.error, lzma.LZMAError, tokenize.TokenError),
)
LONGEST = 200
"""Characters that a message quotes of what NumPy says: it may hold the whole header of an array."""


@dataclass(frozen=True)
class Npz:
    """Arrays of one `.npz` file, `root`: inputs (N, ...) of any shape and their labels, for training and for testing.

    The arrays are x_train, y_train, x_test and y_test, or train_images, train_labels and so on, or x and y, of which
    `data.test_fraction` then cuts test inputs off. Bytes (N, H, W), (N, C, H, W) or (N, H, W, C) are images, all other
    numbers become float32. Labels are numbers, words or one-hot rows; an array `classes` names them.
    Options: `inputs` and `label`, names of other arrays, without the part for the split.

    Source:
        NumPy's format; nothing in it is unpickled.
    """

    options: ClassVar[Options] = OPTIONS

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the hash of the file."""
        path, _ = _path(spec), source_options(spec, OPTIONS)
        return digest_of(path, HINT).hex()

    def read(self, spec: DataSpec) -> RawData:
        """Return the set; arrays that are stored without compression are mapped, not held in memory."""
        path, options = _path(spec), source_options(spec, OPTIONS)
        with _archive(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            names = _names(tuple(members), options, path)
            if cut_for_test(spec, has_test="test" in names, where=str(path)):
                names.pop("test", None)
            read = {
                part: [_array(archive, path, members[name]) for name in pair] for part, pair in names.items()
            }
            classes = [name for name in members if name.lower() in CLASSES]
            declared = _array(archive, path, members[classes[0]]) if classes else np.empty(0)
        columns = {part: _labels(labels, names[part][1], path) for part, (_, labels) in read.items()}
        found = numbered(
            [columns["train"]],
            [columns["test"]] if "test" in columns else [],
            tuple(str(name) for name in declared.ravel().tolist()),
        )
        inputs = {part: _inputs(values, names[part][0], path) for part, (values, _) in read.items()}
        ours = inputs["train"]
        theirs: Images = inputs.get("test") or np.empty((0, *ours.shape[1:]), ours.dtype)
        known = {name for pair in names.values() for name in pair} | set(classes)
        unread = sorted(members.keys() - known)
        notes = (
            *([f"arrays not read: {', '.join(unread)}"] if unread else []),
            *found.notes,
            *ours.layout.notes(),
        )
        return checked(RawData(ours, found.train, theirs, found.test, found.classes, notes), str(path))


def _path(spec: DataSpec) -> Path:
    path = root_of(spec)
    if path.is_dir():
        there = ", ".join(sorted(found.name for found in path.glob("*.npz"))[:3]) or "it holds none"
        raise DataError(
            "is a folder, not an .npz file", where=str(path), hint=f"name the file in data.root ({there})"
        )
    return path


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        check_regular(path)
        return zipfile.ZipFile(path)
    except StorageError as error:
        raise DataError(error.what, where=str(path), hint=HINT) from error
    except BROKEN as error:
        raise DataError(f"no readable .npz file: {error!s:.{LONGEST}}", where=str(path), hint=HINT) from error


def _names(found: tuple[str, ...], options: Mapping[str, object], path: Path) -> dict[str, tuple[str, str]]:
    """Return the names of inputs and labels by split: "train", and "test" if there is one."""
    wanted = {
        "inputs": [str(options["inputs"])] if "inputs" in options else INPUTS,
        "label": [str(options["label"])] if "label" in options else LABELS,
    }
    splits: dict[str, dict[str, str]] = {}
    for name in found:
        split, base = _split_of(name)
        for role, bases in wanted.items():
            if base in bases or (role not in options and base.lower() in bases):
                there = splits.setdefault(split, {}).setdefault(role, name)
                if there != name:
                    what = f"the arrays {there} and {name} of {path} may both be it"
                    raise ConfigError(what, where=f"data.options.{role}", hint="name one of them")
    for split, roles in {"train": {}, **splits}.items():
        missing = [role for role in wanted if role not in roles]
        if missing and split in ("train", "test"):
            what = f"no array for {missing[0]} ({split}) among {', '.join(found) or 'none'}"
            raise DataError(what, where=str(path), hint=HINT)
    return {
        split: (splits[split]["inputs"], splits[split]["label"])
        for split in ("train", "test")
        if split in splits
    }


def _split_of(name: str) -> tuple[str, str]:
    """Return the split that a name tells of, "train" if none, and the rest of it."""
    match = SPLIT.fullmatch(name)
    if match is None or match[2].lower() in ("train", "test"):
        return "train", name
    return (match[1] or match[3] or "train").lower(), match[2]


def _array(archive: zipfile.ZipFile, path: Path, name: str) -> NDArray[Any]:
    """Return an array: mapped from the file if it is stored as it is, else unpacked within the bound of its file.

    Raises:
        DataError: It is broken, would have to be unpickled, or is larger than a file of this size can hold.
    """
    where = f"{path}, array {name.removesuffix('.npy')}"
    try:
        info = archive.getinfo(name)
        with archive.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, kind = header(stream)
            size, begins = int(np.prod(shape, dtype=object)) * kind.itemsize, stream.tell()
            if kind.hasobject:
                hint = "store numbers, or words as a text array"
                raise DataError(
                    "the array holds pickled objects, which are never read", where=where, hint=hint
                )
            if size != info.file_size - begins:
                raise ValueError(f"its header tells of {size:,} bytes, it has {info.file_size - begins:,}")
            order: Any = "F" if fortran else "C"
            if info.compress_type == zipfile.ZIP_STORED and size:
                return np.memmap(path, kind, "r", _offset(path, info) + begins, shape, order)
            if size > most_unpacked(path.stat().st_size):
                what = f"{path.stat().st_size / 1e6:.3g} MB unpack to {size / 1e6:,.0f} MB"
                raise DataError(
                    what, where=where, hint="write it anew with numpy.savez, which does not compress"
                )
            return np.frombuffer(stream.read(), kind).reshape(shape, order=order)
    except BROKEN as error:
        raise DataError(
            f"the array cannot be read: {error!s:.{LONGEST}}", where=where, hint="write the file again"
        ) from error


def _offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return where a member's content begins: after its local header, whose extra field has a length of its own."""
    with path.open("rb") as stream:
        stream.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", stream.read(4))
    return info.header_offset + 30 + int(name) + int(extra)


def _inputs(values: NDArray[Any], name: str, path: Path) -> ArrayInputs:
    where = f"{path}, array {name}"
    if not values.ndim:
        raise DataError("a single number is no array of inputs", where=where, hint=HINT)
    return ArrayInputs(values, layout_of(values.dtype, values.shape[1:], where), where)


def _labels(values: NDArray[Any], name: str, path: Path) -> LabelColumn:
    where = f"{path}, array {name}"
    flat = values.reshape(len(values)) if values.ndim and values.size == len(values) else values
    if flat.ndim == 2 and flat.dtype.kind in "buif" and _one_hot(flat):
        flat = flat.argmax(axis=1)
    if flat.ndim != 1 or not len(flat):
        hint = "store one label for each input, or one column for each class of which one is 1"
        raise DataError(f"labels of shape {values.shape}", where=where, hint=hint)
    try:
        column = pa.array(np.ascontiguousarray(flat, flat.dtype.newbyteorder("=")))
    except (pa.ArrowException, TypeError, ValueError) as error:
        what = f"values of type {flat.dtype} are no labels"
        raise DataError(what, where=where, hint="store numbers or words") from error
    return LabelColumn(column, name, where)


def _one_hot(values: NDArray[Any]) -> bool:
    return bool(((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all())


sources.add("npz")(Npz())
