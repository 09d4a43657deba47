"""What does a study's journal say, for whoever only looks? A copy of its whole lines, read as plain values."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from pdsearch.durable import storage_errors
from pdsearch.search.journal import whole_lines
from pdsearch.search.sampler import silence
from pdsearch.search.told import NAMES

__all__ = ["Seen", "look"]


@dataclass(frozen=True)
class Seen:
    """A trial as the journal has it.

    Args:
        id: Its name in the records.
        state: "complete", "pruned", "fail", "running" or "waiting".
        values: By objective, or None.
        params: What was sampled.
        reports: The value at each epoch.
        reason: Why it failed, if it did for a reason that was told.
    """

    id: str
    state: str
    values: list[float] | None
    params: dict[str, Any]
    reports: dict[int, float]
    reason: str | None


def look(journal: Path) -> dict[str, list[Seen]]:
    """Return the trials by kind; the journal is neither mended nor locked, and its driver may be at work.

    Raises:
        ValueError: Its lines make no sense together.
        StorageError: It cannot be read.
    """
    silence()
    with storage_errors(journal):
        content = journal.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "journal.log"
        copy.write_bytes(content[: whole_lines(content)])
        try:
            storage = JournalStorage(JournalFileBackend(str(copy)))
            studies = {study.study_name: study._study_id for study in storage.get_all_studies()}
            return {
                kind: [_seen(kind, trial) for trial in storage.get_all_trials(studies[name])]
                for kind, name in NAMES.items()
                if name in studies
            }
        except Exception as error:  # Optuna raises whatever comes of lines that do not fit together.
            raise ValueError(f"{type(error).__name__}: {error}") from error


def _seen(kind: str, trial: Any) -> Seen:
    return Seen(
        id=f"{kind}-{trial.number:05d}",
        state=trial.state.name.lower(),
        values=trial.values,
        params=dict(trial.params),
        reports=dict(trial.intermediate_values),
        reason=trial.user_attrs.get("reason"),
    )
