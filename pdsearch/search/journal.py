"""Where does the Optuna study live? In a journal beside the run, mended where a crash tore its last line."""

import json
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

__all__ = ["open_journal", "set_aside", "whole_lines"]


def open_journal(path: Path) -> JournalStorage:
    """Open a study's journal, or begin one. The caller holds the study's lease: it is the only writer.

    Optuna appends to the file line by line and cannot read it again once a torn line was followed by another; so a
    torn tail is cut off first and kept beside the journal.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock left by a killed driver would only be waited for: the lease says that nobody else writes.
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    _mend(path)
    return JournalStorage(JournalFileBackend(str(path)))


def whole_lines(content: bytes) -> int:
    """Return how many bytes hold whole records: up to the first line that is none."""
    position = 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n") or not _is_record(line):
            break
        position += len(line)
    return position


def set_aside(path: Path) -> Path | None:
    """Move a journal that cannot be used out of the way, kept for a person to look at; None if there is none."""
    number = 1
    while (aside := path.with_name(f"{path.name}.{number}.replaced")).exists():
        number += 1
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    return aside


def _mend(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
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
