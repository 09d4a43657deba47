"""Write-once JSON records, one per file, and their reader."""

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pdsearch.errors import StorageError
from pdsearch.io import Place, Remote, UnfitFileError, entry_names, read, read_all, replace
from pdsearch.io.durable import read_regular, storage_errors, sync_folder, write_new
from pdsearch.records.study_record import UNKNOWN_SPACE, StudySpace, check_fits
from pdsearch.records.trial_record import AskedRecord, NewerFormatError, RetryRecord, TrialRecord, read_record
from pdsearch.specs import Json, canonical_json

MOST_BYTES = 16 * 2**20
"""Far above the size of a record: a few kilobytes, some hundred for a thousand epochs."""

_MOST, _MOST_DIGITS = 2**63, 20
"""Integers must fit 64 bits, as the columns of a table do."""

R = TypeVar("R", AskedRecord, TrialRecord, RetryRecord)


@dataclass(frozen=True)
class BrokenRecord:
    """A file that is not the record its name promises: its path and the reason.

    Args:
        path: Path of the file.
        reason: What is wrong, with the field.
        newer: Whether a newer version wrote it, so that nothing is wrong with it.
    """

    path: Place
    reason: str
    newer: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class ReadRecords(Generic[R]):
    """The records of one kind in a folder, by id and in order of the file names, and the broken files."""

    found: Mapping[str, R]
    broken: tuple[BrokenRecord, ...] = ()


def write_once(path: Place, record: dict[str, Json]) -> None:
    """Write a record durably, once and for all: on return it is synced to the disk, or in the object storage.

    Writing the same record again does nothing, so that a process that was killed can simply repeat it.

    Raises:
        StorageError: Another record exists at the path, or the storage cannot be written.
        StorageFullError: No space is left; nothing was written.
        ValueError: A number in the record is not finite.
    """
    content = canonical_json(record).encode() + b"\n"
    if isinstance(path, Remote):
        _store_once(path, content)
    else:
        _write_once(path, content)


def _store_once(path: Remote, content: bytes) -> None:
    """Check, then write: only one driver writes these names, so that no other write comes in between."""
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
            if read_regular(path, MOST_BYTES) != content:
                raise _taken(path) from None
        finally:
            draft.unlink(missing_ok=True)


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # Without hard links: a rename is atomic too, but only the check before it protects an existing record.
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)


def read_asked(folder: Place, space: StudySpace = UNKNOWN_SPACE) -> ReadRecords[AskedRecord]:
    """Read the asked records; as `read_finished`."""
    return _read(folder, "asked", AskedRecord, space)


def read_finished(folder: Place, space: StudySpace = UNKNOWN_SPACE) -> ReadRecords[TrialRecord]:
    """Read the finished records; a truncated or foreign file is reported, never skipped.

    Args:
        folder: Folder of the records; one that does not exist holds none.
        space: That of the study, by which parameters and objectives of sampled trials are checked.

    Raises:
        StorageError: The folder or a file cannot be read.
    """
    return _read(folder, "finished", TrialRecord, space)


def read_retries(folder: Place) -> ReadRecords[RetryRecord]:
    """Read the requests to retry failed trials; as `read_finished`."""
    return _read(folder, "retry", RetryRecord, UNKNOWN_SPACE)


def read_set_aside(folder: Place, name: str) -> list[TrialRecord]:
    """Return the records of a listed job's earlier failed tries, set aside for a retry, oldest first.

    Args:
        folder: Folder of the records.
        name: Name of the job; its tries are `NAME.failed-1.json` and so on. Damaged ones are left out.
    """
    found = []
    for _, content in read_all(folder, failed_tries(folder, name), MOST_BYTES):
        with suppress(ValueError):
            found.append(_record(TrialRecord, name, content))
    return found


def failed_tries(folder: Place, name: str) -> list[str]:
    """Return the names of the files that hold failed tries of a listed job, oldest first."""
    start = f"{name}.failed-"
    found = [file for file in entry_names(folder) if file.startswith(start) and file.endswith(".json")]
    return sorted(found, key=lambda file: (len(file), file))


def _read(folder: Place, word: str, kind: type[R], space: StudySpace) -> ReadRecords[R]:
    suffix = f".{word}.json"
    found: dict[str, R] = {}
    broken: list[BrokenRecord] = []
    wanted = [name for name in entry_names(folder) if name.endswith(suffix) and not name.startswith(".")]
    for name, content in read_all(folder, wanted, MOST_BYTES):
        try:
            record = _record(kind, name.removesuffix(suffix), content)
            check_fits(record, space)
        except ValueError as error:
            broken.append(BrokenRecord(folder / name, str(error), newer=isinstance(error, NewerFormatError)))
        else:
            found[record.id] = record
    return ReadRecords(found, tuple(broken))


def _record(kind: type[R], name: str, content: bytes | UnfitFileError) -> R:
    if isinstance(content, UnfitFileError):
        raise ValueError(content.what)
    record = read_record(kind, parse_record(content))
    if record.id != name:
        raise ValueError(f"holds the record of {record.id}")
    return record


def parse_record(content: bytes) -> dict[str, object]:
    """Parse the JSON object of a record's file.

    Raises:
        ValueError: It is truncated, or never was a record.
    """
    try:
        value = json.loads(content, parse_constant=_refuse_constant, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no whole JSON any more ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"a record is a JSON object, not {type(value).__name__}")
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS or not -_MOST <= int(digits) < _MOST:
        raise ValueError(f"{digits:.20} is larger than any number of a record")
    return int(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
