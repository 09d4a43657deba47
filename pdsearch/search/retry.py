"""How are failed trials tried again? Search trials are asked again; of others the record is set aside.

A failed trial's error is deterministic until somebody mends its cause, so that only a person asks for this.
"""

from pathlib import Path

import optuna
from optuna.trial import TrialState

from pdsearch.artifacts import hold
from pdsearch.durable import storage_errors
from pdsearch.errors import ConfigError
from pdsearch.search.home import Home, last_home
from pdsearch.search.records import Records
from pdsearch.search.sampler import silence
from pdsearch.search.told import INTERRUPTED

__all__ = ["retry_failed"]


def retry_failed(folder: Path) -> list[str]:
    """Have every failed trial of a study asked again by its next run; return their ids.

    Raises:
        ConfigError: The folder is not a study's.
        StudyHeldError: A run is at work on it.
        StorageError: It cannot be read or written.
    """
    silence()
    if not (folder / "study.json").is_file():
        raise ConfigError("not a study's folder", where=str(folder), hint="name runs/STUDY")
    with hold(folder / "driver.lease"):
        records = Records(folder / "trials")
        home = last_home(folder)
        with home.kept():
            return [*_asked_again(home), *_set_aside(records)]


def _asked_again(home: Home) -> list[str]:
    storage, again = home.open(), []
    known = {study.study_name for study in storage.get_all_studies()}
    for kind, name in home.names(known).items():
        if name not in known:
            continue
        study = optuna.load_study(study_name=name, storage=storage)
        trials = study.get_trials(deepcopy=False)
        retried = {t.user_attrs["retry_of"] for t in trials if "retry_of" in t.user_attrs}
        for trial in trials:
            reason = trial.user_attrs.get("reason", INTERRUPTED)
            if trial.state is TrialState.FAIL and reason != INTERRUPTED and trial.number not in retried:
                study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})
                again.append(f"{kind}-{trial.number:05d}")
    return again


def _set_aside(records: Records) -> list[str]:
    """Rename the records of failed baselines and confirmations, which are named by what they are."""
    again = []
    for name, record in records.finished.items():
        if record["state"] == "failed" and record["number"] is None:
            path = records.folder / f"{name}.finished.json"
            number = len(list(records.folder.glob(f"{name}.failed-*.json"))) + 1
            with storage_errors(path):
                path.rename(path.with_name(f"{name}.failed-{number}.json"))
            again.append(name)
    return again
