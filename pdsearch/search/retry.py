"""Failed trials that are tried again: by the next run of its own accord, within bounds, or because a person asks.

Search trials are asked again, under new numbers. Of others the record is set aside, and they run under their own names.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from pdsearch.artifacts import hold
from pdsearch.failing import is_infrastructure, is_same_error
from pdsearch.records import Broken
from pdsearch.search.records import Records
from pdsearch.storage import Place, place
from pdsearch.studies import description

__all__ = [
    "MOST_TRIES",
    "deserves_another_try",
    "failed",
    "how_again",
    "retry_failed",
    "retry_once",
    "stays_failed",
]

MOST_TRIES = 5
"""Tries that a trial gets by itself in all, one a run, where its machines failed it each time."""

MOST_OWN = 3
"""The same where it failed of its own, each time with another error."""


def deserves_another_try(reasons: Sequence[str]) -> bool:
    """Say whether the next run tries a trial again by itself.

    What machines did is tried again, since whoever starts a run again has mended them; so is an error of the trial's
    own, since its cause may have been mended. The same error twice is taken to be the configuration's own.

    Args:
        reasons: Why it failed, time by time, the last one last.
    """
    if is_infrastructure(reasons[-1]):
        return len(reasons) < MOST_TRIES
    own = [reason for reason in reasons if not is_infrastructure(reason)]
    repeated = any(is_same_error(own[-1], earlier) for earlier in own[:-1])
    return not repeated and len(own) < MOST_OWN


def retry_once(records: Records) -> list[str]:
    """Have the run that opens a study try once more what failed in earlier ones; return the ids.

    Raises:
        StorageError: The records cannot be read or written.
    """
    return _again(records, [name for name, reasons in _failed(records) if deserves_another_try(reasons)])


def failed(records: Records) -> list[str]:
    """Return the ids of jobs that have only failed, of each its last try."""
    return [name for name, _ in _failed(records)]


def stays_failed(records: Records) -> list[str]:
    """Return those of them that no run tries again unless a person asks for it."""
    return [name for name, reasons in _failed(records) if not deserves_another_try(reasons)]


def how_again(records: Records, name: str) -> str:
    """Return what a person whose job has failed does once its cause is mended."""
    if name in stays_failed(records):
        command = f"pdsearch retry {records.folder.parent} --failed"
        return f"run `{command}`, since it failed alike before, then the same command again"
    return "run the same command again, which tries it once more"


def retry_failed(
    where: str | Place, left_out: Callable[[Sequence[Broken]], None] = lambda _: None
) -> list[str]:
    """Have every failed trial of a study asked again by its next run; return their ids. Nothing else is changed.

    Args:
        where: The study's folder.
        left_out: Is told of the files that are no records; the next run sets them aside.

    Raises:
        ConfigError: The folder is not a study's, or its journal lies on another machine.
        StudyHeldError: A run is at work on it.
        StorageError: It cannot be read or written, or its study.json is torn.
    """
    folder = place(where)
    space = description(folder)["space"]
    with hold(folder / "driver.lease"):
        records = Records(folder / "trials", space)
        left_out(records.broken)
        wanted = [name for name, _ in _failed(records) if name not in records.retries]
        return _again(records, wanted)


def _failed(records: Records) -> Iterator[tuple[str, list[str]]]:
    """Yield the last try of each job that has only failed, and why each try did."""
    tries: dict[tuple[str, str], list[str]] = defaultdict(list)
    ended = set()
    for name, record in sorted(records.finished.items()):
        job = (record.kind, record.key)
        tries[job].append(name)
        if record.state != "failed":
            ended.add(job)
    for key, names in tries.items():
        if key not in ended:
            last = records.finished[names[-1]]
            earlier = records.earlier_tries(last.id) if last.number is None else ()
            found = [*earlier, *(records.finished[name] for name in names)]
            yield last.id, [record.reason or "" for record in found]


def _again(records: Records, names: Sequence[str]) -> list[str]:
    for name in names:
        if records.finished[name].number is None:
            records.set_aside(name)
        else:
            records.retry(name)
    return list(names)
