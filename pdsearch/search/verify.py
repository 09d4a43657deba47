"""Invariants of a study, which hold after any fault: checked by the fault tests and by `pdsearch verify`.

Records, ledger, temporary files and artifacts are checked, and nothing is changed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pdsearch.artifacts import is_dead, is_orphan, lease_at, open_store
from pdsearch.io import Place, Remote, place
from pdsearch.io.record_files import read_asked, read_finished, read_retries
from pdsearch.io.studies import description
from pdsearch.objectives import VAL_ACCURACY, Aims
from pdsearch.records.study_record import StudyRecord, StudySpace
from pdsearch.records.trial_record import AskedRecord, TrialRecord, counted
from pdsearch.search.optuna_backend.convert import INTERRUPTED, optuna_result
from pdsearch.search.optuna_backend.journal import DamagedError
from pdsearch.search.optuna_backend.storage import (
    JournalStudyStorage,
    StoredTrial,
    StudyStorage,
    last_home,
    read_trials,
)
from pdsearch.specs import own_code_of

_SAME = ("kind", "number", "key", "params", "spec")


@dataclass(frozen=True)
class Breach:
    """One violation of a rule.

    Args:
        rule: The rule: "records", "once", "ledger", "running", "best", "temporaries", "artifacts", "reports", "code".
        what: What is wrong, in a sentence.
        where: The file or the trial.
        mended: Whether the next run repairs it: a run was interrupted, nothing is lost.
    """

    rule: str
    what: str
    where: str
    mended: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"


@dataclass(frozen=True)
class StudyRecords:
    """A study's records by id."""

    asked: Mapping[str, AskedRecord]
    finished: Mapping[str, TrialRecord]


def check_invariants(run: str | Place, *, deep: bool = False) -> list[Breach]:
    """Return the violations in a study; none for one that ended, or was interrupted and opened again.

    Args:
        run: The study's folder.
        deep: Whether to also hash every file of every artifact that the study's records name.

    Raises:
        ConfigError: The folder is not a study's.
        StorageError: It cannot be read, or its study.json is truncated.
    """
    folder = place(run)
    about = description(folder)
    owner = lease_at(folder / "driver.lease").owner()
    live = owner is not None and not is_dead(owner)  # As far as can be told without waiting.
    return list(_all(folder, about, live, deep))


def _all(folder: Place, about: StudyRecord, live: bool, deep: bool) -> Iterator[Breach]:
    found, broken = read_records(folder / "trials", about.space, live=live)
    yield from broken
    yield from check_records(found, about)
    yield from _ledger(folder, about.space.aims, found, live)
    yield from _temporaries(folder, live)
    yield from _artifacts(folder.parent / "artifacts", found.finished.values(), deep)


def read_records(folder: Place, space: StudySpace, *, live: bool) -> tuple[StudyRecords, list[Breach]]:
    """Return the records of a folder and the violations in its files."""
    asked, finished, wanted = read_asked(folder, space), read_finished(folder, space), read_retries(folder)
    broken = [
        Breach("records", item.reason, str(item.path), mended=not live and not item.newer)
        for item in (*asked.broken, *finished.broken, *wanted.broken)
    ]
    return StudyRecords(asked.found, counted(finished.found, wanted.found)), broken


def check_records(found: StudyRecords, about: StudyRecord) -> Iterator[Breach]:
    """Check the records against one another, and their own code against what the study accepted."""
    versions = [about.code, *(code for change in about.changes for code in (change.code, change.code_before))]
    accepted = {code for version in versions for code in version.values()}
    done: dict[tuple[str, str], str] = {}
    for name, record in found.finished.items():
        asked = found.asked.get(name)
        for field in _SAME if asked else ():
            if asked and getattr(asked, field) != getattr(record, field):
                yield Breach("records", f"{field} is not what was asked", name)
        epochs = [report.epoch for report in record.reports]
        if epochs != list(range(1, len(epochs) + 1)):
            yield Breach("reports", f"epochs do not follow one another: {epochs}", name)
        told = [report.val_accuracy for report in record.reports]
        reached = record.values.get(VAL_ACCURACY)
        if reached is not None and told and reached not in told:
            yield Breach("reports", f"{VAL_ACCURACY} {reached} is that of no epoch", name)
        if not own_code_of(record.spec) <= accepted:
            yield Breach("code", "ran with own code that the study never accepted", name)
        if record.state == "failed":
            continue  # It may be retried under the same key.
        twin = done.setdefault((record.kind, record.key), name)
        if twin != name:
            yield Breach("once", f"finished before, as {twin}", name)


def _ledger(folder: Place, aims: Aims, found: StudyRecords, live: bool) -> Iterator[Breach]:
    """Check that the Optuna study agrees with the records; a driver may not have written the last few lines yet."""
    try:
        home = last_home(folder)
    except DamagedError as error:
        yield Breach("ledger", error.what, error.where or str(folder), mended=True)
        return
    # The journal of a study on an object storage is local to its driver; any driver can rebuild it from the records.
    if isinstance(folder, Remote) and isinstance(home, JournalStudyStorage) and not home.path.exists():
        return
    metrics = [objective.metric for objective in aims.objectives]
    yield from _in_study(home, found, metrics, aims.objectives[0].goal, live)


def _in_study(
    home: StudyStorage, found: StudyRecords, metrics: Sequence[str], goal: str, live: bool
) -> Iterator[Breach]:
    try:
        kinds = read_trials(home)
    except (DamagedError, ValueError) as error:
        yield Breach("ledger", f"cannot be read: {error}", str(home), mended=True)
        return
    seen = {trial.id: trial for trials in kinds.values() for trial in trials}
    if not live:
        yield from _same(seen, found, metrics)
    for trial in seen.values():
        if _ended(trial) and trial.id not in found.finished:
            yield Breach("ledger", "has ended in the study without a record", trial.id, mended=True)
    if not live and len(metrics) == 1:
        yield from _best(seen, found, metrics[0], goal)


def _ended(trial: StoredTrial) -> bool:
    told_of = trial.reason not in (None, INTERRUPTED)
    return trial.state in ("complete", "pruned") or (trial.state == "fail" and told_of)


def _same(seen: Mapping[str, StoredTrial], found: StudyRecords, metrics: Sequence[str]) -> Iterator[Breach]:
    for name, record in found.finished.items():
        if record.number is None:
            continue
        trial, expected = seen.get(name), optuna_result(record, metrics)
        if trial is None:
            yield Breach("ledger", "has a record and is not in the study", name, mended=True)
            continue
        says = (trial.state, trial.values, trial.reports, trial.params)
        if says != (expected.state.name.lower(), expected.values, expected.reports, record.params):
            yield Breach("ledger", "the study says otherwise than the record", name, mended=True)


def _best(seen: Mapping[str, StoredTrial], found: StudyRecords, metric: str, goal: str) -> Iterator[Breach]:
    best = max if goal == "maximize" else min
    ours = best((t.values[0] for t in seen.values() if t.state == "complete" and t.values), default=None)
    ended = [
        optuna_result(record, [metric]) for record in found.finished.values() if record.number is not None
    ]
    theirs = best(
        (one.values[0] for one in ended if one.state.name == "COMPLETE" and one.values), default=None
    )
    if ours != theirs:
        yield Breach("best", f"{ours} in the study, {theirs} over the records", metric, mended=True)


def _temporaries(folder: Place, live: bool) -> Iterator[Breach]:
    """Check a study's folder, and its storage's artifacts, for files that no live process will finish."""
    # Objects are written atomically: only folders can contain half-written files.
    hidden = [] if isinstance(folder, Remote) else [*folder.glob(".*"), *folder.glob("trials/.*")]
    for path in hidden:
        if is_orphan(path.name) or (path.suffix == ".tmp" and not live):
            yield Breach("temporaries", "was being written when a run was cut off", str(path), mended=True)
    for path in open_store(folder.parent / "artifacts").leftovers():
        yield Breach("temporaries", "was being written by a process that is gone", str(path), mended=True)


def _artifacts(root: Place, records: Iterable[TrialRecord], deep: bool) -> Iterator[Breach]:
    """Check the artifacts that records name, `deep` by their hashes; a collected one is built again when needed."""
    store = open_store(root)
    used = {(use.stage, use.key) for record in records for use in record.artifacts}
    for stage, key in sorted(used):
        complaint = store.complaint(stage, key, deep=deep)
        if complaint is not None:
            yield Breach("artifacts", complaint, f"{stage}/{key}")
