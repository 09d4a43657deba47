"""How are failed trials tried again? Search trials are asked again; of others the record is set aside.

A failed trial's error is deterministic until somebody mends its cause, so that only a person asks for this.
"""

import optuna
from optuna.trial import TrialState

from pdsearch.artifacts import hold
from pdsearch.errors import ConfigError
from pdsearch.search.home import Home, JournalHome, last_home
from pdsearch.search.records import Records
from pdsearch.search.sampler import silence
from pdsearch.search.told import INTERRUPTED
from pdsearch.storage import Place, Remote, exists, names, place, rename

__all__ = ["retry_failed"]


def retry_failed(where: str | Place) -> list[str]:
    """Have every failed trial of a study asked again by its next run; return their ids.

    Raises:
        ConfigError: The folder is not a study's, or its journal lies on another machine.
        StudyHeldError: A run is at work on it.
        StorageError: It cannot be read or written.
    """
    silence()
    folder = place(where)
    if not exists(folder / "study.json"):
        raise ConfigError("not a study's folder", where=str(folder), hint="name runs/STUDY")
    with hold(folder / "driver.lease"):
        home = last_home(folder)
        if isinstance(folder, Remote) and isinstance(home, JournalHome) and not home.path.exists():
            hint = "`pdsearch run` with its space makes one from the records; then retry"
            raise ConfigError("the study has no journal on this machine", where=str(folder), hint=hint)
        records = Records(folder / "trials")
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
            before = [other for other in names(records.folder) if other.startswith(f"{name}.failed-")]
            rename(records.folder / f"{name}.finished.json", f"{name}.failed-{len(before) + 1}.json")
            again.append(name)
    return again
