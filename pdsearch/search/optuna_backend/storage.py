"""Storage of Optuna studies, a journal or a database, behind one interface; its trials as plain values.

Everything in it was written to the records first, so that any of it may be abandoned and rebuilt.
"""

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from pdsearch.artifacts import hold
from pdsearch.config.ledger_url import BESIDE, read_ledger_url
from pdsearch.errors import ConfigError, PdsearchError, StorageError
from pdsearch.io import Place, exists, local_folder, read, replace
from pdsearch.io.durable import read_regular, storage_errors
from pdsearch.search.optuna_backend.convert import NAMES, silence
from pdsearch.search.optuna_backend.journal import DamagedError, open_journal, set_aside, whole_lines

if TYPE_CHECKING:
    from pdsearch.search.optuna_backend.database import Database

JOURNAL, NOTE = "journal.log", "ledger.json"


class JournalStudyStorage:
    """A journal of one study.

    Args:
        path: The file.
        label: Prefix of the names of its Optuna studies, where another study might use the same file.
    """

    def __init__(self, path: Path, *, label: str = "") -> None:
        self.path, self.label = path, label

    def kept(self) -> AbstractContextManager[object]:
        """Hold a lease beside a journal that the study's own lease does not guard."""
        return hold(self.path.with_name(f"{self.path.name}.lease")) if self.label else nullcontext()

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> BaseStorage:
        """Repair and open the journal."""
        return open_journal(self.path)

    @contextmanager
    def glance(self) -> Iterator[BaseStorage | None]:
        """Open a copy of the whole lines; the journal is neither repaired nor locked."""
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
        """Return the names of the Optuna studies by kind, which never change, given all names found there.

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
        """Move the file aside, so that the study can be rebuilt; it is kept for inspection."""
        set_aside(self.path)


StudyStorage: TypeAlias = "JournalStudyStorage | Database"
"""Storage of the Optuna studies of one pdsearch study."""


def home_of(folder: Place, url: str) -> StudyStorage:
    """Return the storage that a space names, and record it in the study's folder for readers that know only the folder.

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


def last_home(folder: Place) -> StudyStorage:
    """Return the storage of a study's last run, as recorded in its folder.

    Raises:
        DamagedError: The file that records it is damaged.
        StorageError: The folder cannot be read.
    """
    note = folder / NOTE
    content = read(note)
    try:
        return _home(folder, BESIDE if content is None else str(json.loads(content)["url"]))
    except (ValueError, TypeError, KeyError):
        hint = "run the study again: it is written anew"
        raise DamagedError("does not say where the study lives", where=str(note), hint=hint) from None


def _home(folder: Place, text: str) -> StudyStorage:
    if text == BESIDE:
        return JournalStudyStorage(local_folder(folder) / JOURNAL)
    url = read_ledger_url(text)
    about = read(folder / "study.json")
    if about is None:
        raise StorageError("is gone", where=str(folder / "study.json"))
    # Studies of other folders may be there under the same name: the hash of study.json tells them apart.
    label = f"{folder.name}-{hashlib.sha256(about).hexdigest()[:8]}"
    if url.kind == "journal" and url.path is not None:
        return JournalStudyStorage(url.path, label=label)
    from pdsearch.search.optuna_backend.database import Database  # loads SQLAlchemy

    return Database(url, label)


@dataclass(frozen=True)
class StoredTrial:
    """A trial as the Optuna study has it.

    Args:
        id: Its name in the records.
        state: "complete", "pruned", "fail", "running" or "waiting".
        values: By objective, or None.
        params: What was sampled.
        reports: The value at each epoch.
        reason: Why it failed, if that was recorded.
    """

    id: str
    state: str
    values: list[float] | None
    params: dict[str, object]
    reports: dict[int, float]
    reason: str | None


def read_trials(home: StudyStorage) -> dict[str, list[StoredTrial]]:
    """Return the trials by kind, none where there is no study; a driver may be running.

    Raises:
        ValueError: The content is inconsistent.
        StorageError: It cannot be read.
    """
    silence()
    try:
        with home.glance() as storage:
            return {} if storage is None else _trials(home, storage)
    except (OSError, PdsearchError):
        raise
    except Exception as error:  # On inconsistent content Optuna may raise anything.
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _trials(home: StudyStorage, storage: BaseStorage) -> dict[str, list[StoredTrial]]:
    studies = {study.study_name: study._study_id for study in storage.get_all_studies()}
    return {
        kind: [_stored(kind, trial) for trial in storage.get_all_trials(studies[name])]
        for kind, name in home.names(studies).items()
        if name in studies
    }


def _stored(kind: str, trial: FrozenTrial) -> StoredTrial:
    return StoredTrial(
        id=f"{kind}-{trial.number:05d}",
        state=trial.state.name.lower(),
        values=trial.values,
        params=dict(trial.params),
        reports=dict(trial.intermediate_values),
        reason=trial.user_attrs.get("reason"),
    )
