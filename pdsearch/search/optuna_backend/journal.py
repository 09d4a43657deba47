"""Storage of Optuna studies in a journal file, repaired where a crash left its last line incomplete.

The format is Optuna's, so that its tools read it; the writer is not. A study has one driver: it needs no lock, reads
nothing back, and removes a line that was written in part.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from pdsearch.errors import StorageError
from pdsearch.io.durable import read_regular, storage_errors


class DamagedError(StorageError):
    """The storage of the Optuna study cannot be read any more: it is abandoned and rebuilt from the records."""


class Journal(BaseJournalBackend):
    """A journal with one writer. Invariant: the file holds whole lines, and each is in the file before it takes effect.

    A line survives the death of every process; after a loss of power the last ones may be missing. Records reach the
    disk first and the journal can be rebuilt from them, so that no append waits for the disk.

    Args:
        path: The file, created if it is not there.

    Raises:
        StorageError: It cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(path), path.open("a+b") as file:
            file.seek(0)
            self._fresh: list[dict[str, Any]] = [json.loads(line) for line in file]
            self._size = file.tell()
        self._first = 0

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, object]]:
        """Return the lines from a number on; those before were replayed and are not kept."""
        del self._fresh[: log_number_from - self._first]
        self._first = log_number_from
        return tuple(self._fresh)

    def append_logs(self, logs: list[dict[str, object]]) -> None:
        """Append lines and return when they are in the file.

        Raises:
            StorageError: They could not be written; the journal is as it was.
        """
        lines = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with storage_errors(self._path):
            try:
                with self._path.open("ab") as file:
                    file.write(lines)
            except OSError:
                with suppress(OSError):
                    os.truncate(self._path, self._size)
                raise
        self._size += len(lines)
        self._fresh.extend(logs)


def open_journal(path: Path) -> JournalStorage:
    """Open a study's journal, or begin one. The caller holds the study's lease: it is the only writer.

    Optuna appends to the file line by line and cannot read it again once a torn line was followed by another; so a
    torn tail is cut off first and kept beside the journal.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
    return JournalStorage(Journal(path))


def whole_lines(content: bytes) -> int:
    """Return the number of bytes before the first line that is not a whole record."""
    position = 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n") or not _is_record(line):
            break
        position += len(line)
    return position


def set_aside(path: Path) -> Path | None:
    """Move a journal that cannot be used out of the way, kept for a person to look at; None if there is none."""
    place = aside(path)
    try:
        path.rename(place)
    except FileNotFoundError:
        return None
    return place


def aside(path: Path) -> Path:
    """Return an unused path beside a file."""
    number = 1
    while (place := path.with_name(f"{path.name}.{number}.replaced")).exists():
        number += 1
    return place


def _mend(path: Path) -> None:
    if not path.exists():
        return
    content = read_regular(path)
    whole = whole_lines(content)
    if whole < len(content):
        with path.with_name(f"{path.name}.torn").open("ab") as kept:
            kept.write(content[whole:] + b"\n")
        with path.open("r+b") as journal:
            journal.truncate(whole)


def _is_record(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
