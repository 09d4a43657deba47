"""What a study is doing, read from its folder while a driver may be at it: who drives it, what runs, what is left."""

from collections import Counter
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime

from pdsearch.artifacts import is_dead, lease_at
from pdsearch.errors import ConfigError
from pdsearch.io import Place
from pdsearch.io.studies import RunningPhase, description, elapsed
from pdsearch.objectives import counts_as_trial
from pdsearch.records.trial_record import AskedRecord, TrialRecord
from pdsearch.search.confirmation.finalists import name_students
from pdsearch.search.maintenance import failed, how_again
from pdsearch.search.records import Records
from pdsearch.specs import own_code_of

_KINDS = {"search": "search", "comparison": "baseline", "topping up": "baseline", "confirmation": "confirm"}
"""Phase -> the kind of its records; the others train teachers, which have none."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial that was started and has not ended: its id, and the seconds since it was asked."""

    id: str
    seconds: float


@dataclass(frozen=True)
class Failure:
    """A trial of which every try failed: its id, the last reason, and how it is tried again."""

    id: str
    reason: str
    again: str


@dataclass(frozen=True)
class Overview:
    """What a study is doing.

    Args:
        study: Its name.
        folder: Its folder.
        driver: The process that runs it; None if none does.
        phase: The phase it is in, or was in when its last driver ended; empty before the first.
        total: Jobs of that phase; 0 where it is not known.
        done: Those of them that are done.
        left_s: Seconds left in the phase at the pace so far; None where that cannot be told.
        elapsed_s: Seconds of all runs.
        states: Kind of trial -> state -> number.
        running: Started and not ended; without a driver they were cut off, and the next run goes on with them.
        failures: Failed trials.
        best: Highest validation accuracy of a complete search trial, and that trial.
        best_of: The same by the students that are compared (`students.alike`).
        broken: Files that are no valid records.
    """

    study: str
    folder: str
    driver: str | None
    phase: str
    total: int
    done: int
    left_s: float | None
    elapsed_s: float
    states: Mapping[str, Mapping[str, int]]
    running: tuple[RunningTrial, ...]
    failures: tuple[Failure, ...]
    best: tuple[float, str] | None
    best_of: Mapping[str, tuple[float, str]]
    broken: tuple[str, ...]


def overview(folder: Place) -> Overview:
    """Return what a study is doing; reads only.

    Raises:
        ConfigError: There is no study.
        StorageError: It cannot be read.
    """
    about = description(folder)
    records = Records(folder / "trials", about.space)
    owner = lease_at(folder / "driver.lease").owner()
    driver = None if owner is None or is_dead(owner) else str(owner)
    clock = elapsed(folder / "elapsed.json")
    phase = clock.phase
    done, left = _progress(phase, records, driven=driver is not None)
    states: dict[str, Counter[str]] = {}
    for record in records.finished.values():
        states.setdefault(record.kind, Counter())[record.state] += 1
    best_of = _best_of(records.finished.values())
    return Overview(
        study=about.study,
        folder=str(folder),
        driver=driver,
        phase=phase.name,
        total=phase.total,
        done=done,
        left_s=left,
        elapsed_s=clock.seconds,
        states={kind: dict(found) for kind, found in states.items()},
        running=tuple(_running(records, {*about.code.values()})),
        failures=tuple(
            Failure(name, records.finished[name].reason or "", how_again(records, name))
            for name in failed(records)
        ),
        best=max(best_of.values(), default=None),
        best_of=best_of,
        broken=tuple(map(str, records.broken)),
    )


def _best_of(finished: Collection[TrialRecord]) -> dict[str, tuple[float, str]]:
    names, found = name_students(finished), dict[str, tuple[float, str]]()
    for record in finished:
        value, name = record.values.get("student.val_accuracy"), names[record.id]
        if record.kind == "search" and record.state == "complete" and value is not None:
            found[name] = max(found.get(name, (-1.0, "")), (value, record.id))
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True))


def _progress(phase: RunningPhase, records: Records, *, driven: bool) -> tuple[int, float | None]:
    kind = _KINDS.get(phase.name)
    if kind is None:
        return phase.done, None
    since = [
        record
        for record in records.finished.values()
        if record.kind == kind and (record.finished_at or "") >= phase.began_at
        if kind != "search" or counts_as_trial(record.state)
    ]
    done = phase.done + len(since)
    if not driven or len(since) < 2 or not phase.total:
        return done, None
    return done, _seconds(phase.began_at) / len(since) * max(0, phase.total - done)


def _seconds(since: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()


def _running(records: Records, code: AbstractSet[str]) -> list[RunningTrial]:
    # With mended code, a listed job is another one, and that of the earlier code is never gone on with.
    return [
        RunningTrial(record.id, _seconds(record.asked_at) if record.asked_at else 0.0)
        for name, record in records.asked.items()
        if name not in records.finished and own_code_of(record.spec) <= code
    ]


def one_trial(folder: Place, name: str) -> tuple[AskedRecord | TrialRecord, list[TrialRecord], str]:
    """Return a trial's record, its earlier failed tries, and how it is tried again where it failed.

    Args:
        folder: The study's.
        name: The trial's id; a number means a search trial; the beginning of an id is enough where it is the only one.

    Raises:
        ConfigError: There is no such trial.
        StorageError: The study cannot be read.
    """
    records = Records(folder / "trials", description(folder).space)
    known: Mapping[str, AskedRecord | TrialRecord] = {**records.asked, **records.finished}
    wanted = f"search-{int(name):05d}" if name.isdecimal() else name
    matching = (
        [wanted] if wanted in known else [known_one for known_one in known if known_one.startswith(wanted)]
    )
    if len(matching) != 1:
        kinds = ", ".join(sorted(matching or known)[:5])
        hint = f"{'these begin so' if matching else 'there are'}: {kinds}, ..." if known else "none has begun"
        raise ConfigError(f"no single trial is {name!r}", where=str(folder), hint=hint)
    (found,) = matching
    again = how_again(records, found) if found in failed(records) else ""
    return known[found], records.earlier_tries(found), again
