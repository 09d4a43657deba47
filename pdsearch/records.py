"""How is a fact written once and never changed? JSON files, one a record, and a reader that hides nothing."""

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdsearch.durable import storage_errors, sync_folder, write_new
from pdsearch.errors import StorageError
from pdsearch.specs import Json, canonical_json
from pdsearch.storage import Place, Remote, names, read, read_all, replace

__all__ = ["Broken", "Records", "parse_record", "read_records", "read_trials", "write_once"]


@dataclass(frozen=True)
class Broken:
    """A file that is not a record: its path and why."""

    path: Place
    reason: str


@dataclass(frozen=True)
class Records:
    """What a folder holds: records by file name or by trial, in sorted order, and the files that are none."""

    found: Mapping[str, dict[str, Any]]
    broken: tuple[Broken, ...] = ()


def write_once(path: Place, record: dict[str, Json]) -> None:
    """Write a record that will never change, and return when it is on the disk, or in the object storage.

    Writing the same record again does nothing: whoever was killed may simply write again.

    Raises:
        StorageError: Another record stands at the path, or the storage cannot be written.
        StorageFullError: No space is left; nothing was written.
        ValueError: A number in the record is not finite.
    """
    content = canonical_json(record).encode() + b"\n"
    if isinstance(path, Remote):
        _store_once(path, content)
    else:
        _write_once(path, content)


def _store_once(path: Remote, content: bytes) -> None:
    """Look, then write: the names are one driver's own, so that nobody writes in between."""
    standing = read(path)
    if standing is None:
        replace(path, content)
    elif standing != content:
        raise _taken(path)


def _taken(path: Place) -> StorageError:
    return StorageError("another record stands here already; records never change", where=str(path))


def _write_once(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{uuid.uuid4().hex}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_new(draft, content)
            _publish(draft, path)
            sync_folder(path.parent)
        except FileExistsError:
            if path.read_bytes() != content:
                raise _taken(path) from None
        finally:
            draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here: a rename is atomic too, but only the look before it protects the record.
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)


def read_records(folder: Place, suffix: str = ".json") -> Records:
    """Read every record of a folder; a torn or foreign file is reported, never skipped.

    Args:
        folder: Where the records lie; a folder that does not exist holds none.
        suffix: End of the file names to read; hidden files are never records.

    Raises:
        StorageError: The folder or a file cannot be read.
    """
    found: dict[str, dict[str, Any]] = {}
    broken: list[Broken] = []
    wanted = [name for name in names(folder) if name.endswith(suffix) and not name.startswith(".")]
    for name, content in read_all(folder, wanted):
        try:
            found[name] = parse_record(content)
        except ValueError as error:
            broken.append(Broken(folder / name, str(error)))
    return Records(found, tuple(broken))


def read_trials(folder: Place, kind: str) -> Records:
    """Read the records of one kind by the trials' ids; one that holds another trial's is no record either.

    Args:
        folder: Of the records.
        kind: "asked", "finished" or "retry", as the files' names have it.

    Raises:
        StorageError: The folder or a file cannot be read.
    """
    suffix = f".{kind}.json"
    read_ones = read_records(folder, suffix)
    found, broken = {}, list(read_ones.broken)
    for name, record in read_ones.found.items():
        if record.get("id") == name.removesuffix(suffix):
            found[record["id"]] = record
        else:
            broken.append(Broken(folder / name, "holds another trial's record"))
    return Records(found, tuple(broken))


def parse_record(content: bytes) -> dict[str, Any]:
    """Return what a file holds that was written as a record.

    Raises:
        ValueError: It is torn, or was never one.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no whole JSON any more ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"a record is a JSON object, not {type(value).__name__}")
    return value
