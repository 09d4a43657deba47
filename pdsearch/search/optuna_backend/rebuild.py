"""Repair of an Optuna study from the records, where the two disagree.

The records are immutable and written first, so they are the truth. A journal, or a study in a database, that was
cut off, altered, or lost is replaced: same numbers, same states, same best; trials without a finished record are asked
again.
"""

import warnings
from collections.abc import Container, Mapping
from typing import TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from pdsearch.config import Space
from pdsearch.errors import PdsearchError, StorageError
from pdsearch.records.trial_record import AskedRecord, TrialRecord
from pdsearch.search.optuna_backend.convert import INTERRUPTED, agrees, as_interrupted, as_trial, distribution
from pdsearch.search.optuna_backend.journal import DamagedError
from pdsearch.search.optuna_backend.sampler import empty_study
from pdsearch.search.optuna_backend.storage import StudyStorage
from pdsearch.search.records import Records
from pdsearch.search.resolved import same_trial

R = TypeVar("R", AskedRecord, TrialRecord)


def open_studies(home: StudyStorage, kinds: Mapping[str, Space], records: Records) -> dict[str, Study]:
    """Open the Optuna studies of a storage, as its only writer; rebuild them where they contradict the records.

    Args:
        home: A journal or a database.
        kinds: Kind of trials -> the space they are sampled from.
        records: The study's records.

    Raises:
        ConfigError: The storage is another study's, or its driver is not installed.
        StorageError: It cannot be reached, read or written.
    """
    written = True
    try:
        studies, written = _load(home, kinds)
        if not any(contradictions(studies[kind], space, records, kind) for kind, space in kinds.items()):
            return studies
    except DamagedError:
        pass
    except (OSError, PdsearchError):
        raise
    except Exception:  # On inconsistent content Optuna may raise anything.
        pass
    if written:
        home.give_up()
        studies = _begin(home, kinds)
    for kind, space in kinds.items():
        for trial in _retold(space, records, kind):
            studies[kind].add_trial(trial)
    return studies


def _begin(home: StudyStorage, kinds: Mapping[str, Space]) -> dict[str, Study]:
    try:
        return _load(home, kinds)[0]
    except (OSError, PdsearchError):
        raise
    except Exception as error:  # For example a database that was emptied in part.
        hint = "name another search.ledger: the study is written there anew, from its records"
        raise StorageError(f"no study can be begun there: {error}", where=str(home), hint=hint) from error


def retold(space: Space, records: Records, kind: str) -> Study:
    """Return an Optuna study in memory with the trials that the records tell of."""
    study = empty_study(space)
    study.add_trials(_retold(space, records, kind))
    return study


def contradictions(study: Study, space: Space, records: Records, kind: str) -> list[str]:
    """Return where a study contradicts the records, one line each.

    A trial that runs, has failed as interrupted, or repeats another one needs no finished record. One that was sampled
    from a narrower space contradicts them too: samplers learn from trials of one space alone.
    """
    trials = study.get_trials(deepcopy=False)
    of = {parameter.name: distribution(parameter) for parameter in space.parameters}
    found = [
        f"{kind}-{trial.number:05d} was sampled from another space"
        for trial in trials
        if any(of.get(name) != known for name, known in trial.distributions.items())
    ]
    for number, record in _numbered(records.finished, kind).items():
        if number >= len(trials):
            found.append(f"{record.id} is not in the study")
        elif not agrees(trials[number], record, space):
            found.append(f"{record.id}: the study says otherwise than its record")
    finished = _numbered(records.finished, kind)
    for number, begun in _numbered(records.asked, kind).items():
        if number not in finished and (number >= len(trials) or trials[number].params != begun.params):
            found.append(f"{begun.id} was asked, which the study does not know")
    unrecorded = [trial for trial in trials if _ended(trial) and trial.number not in finished]
    return found + [f"{kind}-{trial.number:05d} has ended without a record" for trial in unrecorded]


def _ended(trial: FrozenTrial) -> bool:
    reason = trial.user_attrs.get("reason", INTERRUPTED)
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or reason != INTERRUPTED


def _load(home: StudyStorage, kinds: Mapping[str, Space]) -> tuple[dict[str, Study], bool]:
    """Return the studies by kind, and whether any of them existed before."""
    storage = home.open()
    known = {study.study_name for study in storage.get_all_studies()}
    names = home.names(known)
    studies = {kind: _study(storage, names[kind], space, known) for kind, space in kinds.items()}
    return studies, not known.isdisjoint(names.values())


def _study(storage: BaseStorage, name: str, space: Space, known: Container[str]) -> Study:
    directions = [StudyDirection[objective.goal.upper()] for objective in space.objectives]
    if name not in known:  # Optuna's create-if-missing would append to the journal at every opening.
        study = optuna.create_study(study_name=name, storage=storage, directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            # For those who look at the study with Optuna's tools.
            study.set_metric_names([objective.metric for objective in space.objectives])
        return study
    study = optuna.load_study(study_name=name, storage=storage)
    if study.directions != directions:
        raise ValueError(f"{name} has other objectives")
    return study


def _retold(space: Space, records: Records, kind: str) -> list[FrozenTrial]:
    """Return the Optuna trials of a kind by number; a number without a record gets a failed placeholder."""
    asked, finished = _numbered(records.asked, kind), _numbered(records.finished, kind)
    cut_off: dict[object, int] = {}
    trials = []
    for number in range(max([*asked, *finished], default=-1) + 1):
        if number in finished:
            trial = as_trial(finished[number], space)
        elif number in asked:
            trial = as_interrupted(asked[number], space)
        else:
            trial = create_trial(state=TrialState.FAIL)
        known = finished.get(number) or asked.get(number)
        key = known and same_trial(known)
        if key in cut_off:  # It is the retry of one that was interrupted or failed.
            trial.set_user_attr("retry_of", cut_off.pop(key))
        if number in asked and (number not in finished or finished[number].state == "failed"):
            cut_off[key] = number
        trials.append(trial)
    return trials


def _numbered(records: Mapping[str, R], kind: str) -> dict[int, R]:
    return {r.number: r for r in records.values() if r.kind == kind and r.number is not None}
