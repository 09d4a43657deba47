"""Reading an Optuna study as plain values, without being its driver."""

from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage

from pdsearch.errors import PdsearchError
from pdsearch.search.optuna_backend.outcome import silence
from pdsearch.search.optuna_backend.storage import StudyStorage


@dataclass(frozen=True)
class Seen:
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
    params: dict[str, Any]
    reports: dict[int, float]
    reason: str | None


def look(home: StudyStorage) -> dict[str, list[Seen]]:
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


def _trials(home: StudyStorage, storage: BaseStorage) -> dict[str, list[Seen]]:
    studies = {study.study_name: study._study_id for study in storage.get_all_studies()}
    return {
        kind: [_seen(kind, trial) for trial in storage.get_all_trials(studies[name])]
        for kind, name in home.names(studies).items()
        if name in studies
    }


def _seen(kind: str, trial: Any) -> Seen:
    return Seen(
        id=f"{kind}-{trial.number:05d}",
        state=trial.state.name.lower(),
        values=trial.values,
        params=dict(trial.params),
        reports=dict(trial.intermediate_values),
        reason=trial.user_attrs.get("reason"),
    )
