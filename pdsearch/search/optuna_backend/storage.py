"""Where an Optuna study lives: a journal or a database, opened, inspected and closed alike.

Whatever lives there was written first to the records, so that any of it may be given up and written anew.
"""

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from pdsearch.artifacts import hold
from pdsearch.config.ledger_url import BESIDE, read_ledger_url
from pdsearch.errors import ConfigError, StorageError
from pdsearch.io import Place, beside, exists, read, replace
from pdsearch.io.durable import read_regular, storage_errors
from pdsearch.search.optuna_backend.journal import DamagedError, open_journal, set_aside, whole_lines
from pdsearch.search.optuna_backend.outcome import NAMES

__all__ = ["Home", "JournalHome", "home_of", "last_home"]

JOURNAL, NOTE = "journal.log", "ledger.json"


class Home(Protocol):
    """A place that holds the Optuna studies of one of our studies."""

    def kept(self) -> AbstractContextManager[object]:
        """Keep other drivers out, as far as the study's own lease does not, and close what was opened."""

    def open(self) -> BaseStorage:
        """Open it as its only writer; made if it is not there."""

    def glance(self) -> AbstractContextManager[BaseStorage | None]:
        """Open it to look at only, while a driver may be at work; None where there is nothing."""

    def names(self, known: Collection[str]) -> Mapping[str, str]:
        """Return the names of the Optuna studies by kind, given all names that were found there."""

    def give_up(self) -> None:
        """Make way for a study that is written anew; what was there is kept for a person to look at."""


class JournalHome:
    """A journal of one study.

    Args:
        path: The file.
        label: What begins the names of its Optuna studies, where another study might name the same file.
    """

    def __init__(self, path: Path, *, label: str = "") -> None:
        self.path, self.label = path, label

    def kept(self) -> AbstractContextManager[object]:
        """Hold a lease beside a journal that the study's lease does not guard."""
        return hold(self.path.with_name(f"{self.path.name}.lease")) if self.label else nullcontext()

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BaseStorage:
        """Open the journal, mended."""
        return open_journal(self.path)

    @contextmanager
    def glance(self) -> Iterator[BaseStorage | None]:
        """Open a copy of the whole lines; the journal is neither mended nor locked."""
        with storage_errors(self.path):
            content = read_regular(self.path) if self.path.exists() else b""
        if not content:
            yield None
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / JOURNAL
            copy.write_bytes(content[: whole_lines(content)])
            yield JournalStorage(JournalFileBackend(str(copy)))

    def names(self, known: Collection[str]) -> Mapping[str, str]:
        """Return the names, which never change.

        Raises:
            ConfigError: It holds another study: a journal has one writer.
        """
        names = {kind: f"{self.label}/{name}" if self.label else name for kind, name in NAMES.items()}
        if self.label and not set(known) <= set(names.values()):
            raise ConfigError(
                "another study lives there, and a journal has one writer",
                where=f"search.ledger: {self.path}",
                hint="name another file",
            )
        return names

    def give_up(self) -> None:
        """Move the file aside."""
        set_aside(self.path)


def home_of(folder: Place, url: str) -> Home:
    """Return the home that a space names, and note it in the study's folder for those who know the folder alone.

    Args:
        folder: Of the study; its study.json is there.
        url: `search.ledger`.

    Raises:
        StorageError: The folder cannot be written.
    """
    note = folder / NOTE
    text = url if url == BESIDE else read_ledger_url(url).text
    if text != BESIDE or exists(note):
        replace(note, (json.dumps({"url": text}) + "\n").encode())
    return _home(folder, text)


def last_home(folder: Place) -> Home:
    """Return the home of a study's last run, as its folder has it.

    Raises:
        DamagedError: The note is torn.
        StorageError: The folder cannot be read.
    """
    note = folder / NOTE
    content = read(note)
    try:
        return _home(folder, BESIDE if content is None else str(json.loads(content)["url"]))
    except (ValueError, TypeError, KeyError):
        hint = "run the study again: it is written anew"
        raise DamagedError("does not say where the study lives", where=str(note), hint=hint) from None


def _home(folder: Place, text: str) -> Home:
    if text == BESIDE:
        return JournalHome(beside(folder) / JOURNAL)
    url = read_ledger_url(text)
    about = read(folder / "study.json")
    if about is None:
        raise StorageError("is gone", where=str(folder / "study.json"))
    # Studies of other folders may live there under the same name: what a study is tells them apart.
    label = f"{folder.name}-{hashlib.sha256(about).hexdigest()[:8]}"
    if url.kind == "journal" and url.path is not None:
        return JournalHome(url.path, label=label)
    from pdsearch.search.optuna_backend.database import Database  # loads SQLAlchemy

    return Database(url, label)
