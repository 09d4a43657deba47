"""Rules of the Optuna study: it agrees with the records, and no trial in it is running without a driver."""

from collections.abc import Iterator, Sequence

from pdsearch.search.optuna_backend.inspect import Seen, look
from pdsearch.search.optuna_backend.journal import DamagedError
from pdsearch.search.optuna_backend.outcome import INTERRUPTED, told
from pdsearch.search.optuna_backend.storage import StudyStorage
from pdsearch.verify.broken import Breach
from pdsearch.verify.record_rules import StudyRecords


def check(
    home: StudyStorage, found: StudyRecords, metrics: Sequence[str], goal: str, *, live: bool
) -> Iterator[Breach]:
    """Check a study against the records.

    Args:
        home: The study's storage.
        found: The records.
        metrics: Metrics of the objectives.
        goal: Direction of the first objective, "maximize" or "minimize".
        live: Whether a driver is running, so that the last few lines may not be written yet.
    """
    try:
        kinds = look(home)
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


def _ended(trial: Seen) -> bool:
    told_of = trial.reason not in (None, INTERRUPTED)
    return trial.state in ("complete", "pruned") or (trial.state == "fail" and told_of)


def _same(seen: dict[str, Seen], found: StudyRecords, metrics: Sequence[str]) -> Iterator[Breach]:
    for name, record in found.finished.items():
        if record.number is None:
            continue
        trial, expected = seen.get(name), told(record, metrics)
        if trial is None:
            yield Breach("ledger", "has a record and is not in the study", name, mended=True)
            continue
        says = (trial.state, trial.values, trial.reports, trial.params)
        if says != (expected.state.name.lower(), expected.values, expected.reports, record.params):
            yield Breach("ledger", "the study says otherwise than the record", name, mended=True)


def _best(seen: dict[str, Seen], found: StudyRecords, metric: str, goal: str) -> Iterator[Breach]:
    best = max if goal == "maximize" else min
    ours = best((t.values[0] for t in seen.values() if t.state == "complete" and t.values), default=None)
    ended = [told(record, [metric]) for record in found.finished.values() if record.number is not None]
    theirs = best(
        (one.values[0] for one in ended if one.state.name == "COMPLETE" and one.values), default=None
    )
    if ours != theirs:
        yield Breach("best", f"{ours} in the study, {theirs} over the records", metric, mended=True)
