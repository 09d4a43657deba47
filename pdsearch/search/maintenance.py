"""Retries of trials, failed ones and those of earlier own code, and the artifacts that the studies of a storage use.

A retried search trial gets a new number. Of any other job the failed record is set aside, and it runs under its old id.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pdsearch.artifacts import hold, is_dead, lease_at
from pdsearch.artifacts.owner import Owner
from pdsearch.errors import StorageError
from pdsearch.io import Place, place
from pdsearch.io.record_files import BrokenRecord, read_asked, read_finished
from pdsearch.io.studies import description, studies
from pdsearch.pipeline.failure import is_infrastructure, is_same_error
from pdsearch.records.study_record import UNKNOWN_SPACE, StudySpace
from pdsearch.records.trial_record import REDONE
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description, same_trial
from pdsearch.specs import DataSpec, Rewind

MOST_TRIES = 5
"""Tries that a trial gets automatically in all, one a run, where each failed because of its machine."""

MOST_OWN = 3
"""The same where the trial itself failed, each time with another error."""


def deserves_another_try(reasons: Sequence[str]) -> bool:
    """Return whether the next run retries a trial automatically.

    Failures of machines are retried, since these were presumably repaired before the run was started again; so is an
    error of the trial's own, since its cause may have been fixed. The same error twice is blamed on the configuration.

    Args:
        reasons: Why each try failed, oldest first.
    """
    if is_infrastructure(reasons[-1]):
        return len(reasons) < MOST_TRIES
    own = [reason for reason in reasons if not is_infrastructure(reason)]
    repeated = any(is_same_error(own[-1], earlier) for earlier in own[:-1])
    return not repeated and len(own) < MOST_OWN


def retry_once(records: Records, describe: Description) -> list[str]:
    """Schedule one more try of what failed in earlier runs, where it deserves one; return the ids.

    What failed with own code that was mended since deserves one, however often it failed.

    Raises:
        StorageError: The records cannot be read or written.
    """
    wanted = [
        name
        for name, reasons in _failed(records)
        if deserves_another_try(reasons) or describe.is_outdated(records.finished[name].spec)
    ]
    return _again(records, wanted)


def redo(records: Records, describe: Description) -> list[str]:
    """Have everything asked again that finished with own code that is another now; return the ids.

    Raises:
        StorageError: The records cannot be read or written.
    """
    ended = [record for record in records.finished.values() if record.state != "failed"]
    return _again(records, [record.id for record in ended if describe.is_outdated(record.spec)])


def failed(records: Records) -> list[str]:
    """Return the ids of the last tries of jobs of which every try failed."""
    return [name for name, _ in _failed(records)]


def stays_failed(records: Records) -> list[str]:
    """Return those of `failed` that no run retries unless the user asks for it."""
    return [name for name, reasons in _failed(records) if not deserves_another_try(reasons)]


def how_again(records: Records, name: str) -> str:
    """Return what the user does to retry a failed job once its cause is fixed."""
    if name in stays_failed(records):
        command = f"pdsearch retry {records.folder.parent} --failed"
        return f"run `{command}`, since it failed alike before, then the same command again"
    return "run the same command again, which tries it once more"


def retry_failed(
    where: str | Place, left_out: Callable[[Sequence[BrokenRecord]], None] = lambda _: None
) -> list[str]:
    """Mark every failed trial of a study for a retry by its next run; return their ids. Nothing else is changed.

    Args:
        where: The study's folder.
        left_out: Receives the files that are not valid records; the next run sets them aside.

    Raises:
        ConfigError: The folder is not a study's, or its journal lies on another machine.
        StudyHeldError: A run is using it.
        StorageError: It cannot be read or written, or its study.json is torn.
    """
    folder = place(where)
    space = description(folder).space
    with hold(folder / "driver.lease"):
        records = Records(folder / "trials", space)
        left_out(records.broken)
        wanted = [name for name, _ in _failed(records) if name not in records.retries]
        return _again(records, wanted)


def _failed(records: Records) -> Iterator[tuple[str, list[str]]]:
    """Yield the last try of each job of which every try failed, and why each did."""
    tries: dict[tuple[str, str], list[str]] = defaultdict(list)
    ended = set()
    for name, record in sorted(records.finished.items()):
        if record.reason == REDONE:
            continue
        job = same_trial(record)
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


@dataclass(frozen=True)
class UsedArtifacts:
    """What the studies of a storage use.

    Args:
        artifacts: (stage, key) of all that their records name.
        torn: Files that are not valid records: what they named is unknown.
    """

    artifacts: frozenset[tuple[str, str]]
    torn: tuple[BrokenRecord, ...]


def drivers(root: Place) -> Iterator[tuple[Place, Owner]]:
    """Yield every study with a running driver, as far as is known, and that driver."""
    for folder in studies(root):
        owner = lease_at(folder / "driver.lease").owner()
        if owner is not None and not is_dead(owner):
            yield folder, owner


def used_artifacts(root: Place) -> UsedArtifacts:
    """Return the artifacts that the studies' records name, and those that interrupted trials will need."""
    from pdsearch.pipeline import keys  # loads the registries

    found: set[tuple[str, str]] = set()
    images: set[DataSpec] = set()
    torn: list[BrokenRecord] = []
    for folder in studies(root):
        space = _space(folder)
        asked, finished = read_asked(folder / "trials", space), read_finished(folder / "trials", space)
        torn += [*asked.broken, *finished.broken]
        for ended in finished.found.values():
            found |= {(use.stage, use.key) for use in ended.artifacts}
        for name, record in asked.found.items():
            spec = record.spec
            if name in finished.found and spec.data in images:
                continue
            images.add(spec.data)  # Decoded when the study was opened, by no trial.
            found.add(("data", keys.data_key(spec.data)))
            if name in finished.found:
                continue
            found.add(("teacher", keys.dense_key(spec)))
            found |= {("prune", key) for key in keys.round_keys(spec)}
            match spec.prune.after_round if spec.prune else None:
                case Rewind(epoch=epoch) if epoch:
                    found.add(("early", keys.early_key(spec, epoch)))
    return UsedArtifacts(frozenset(found), tuple(torn))


def _space(folder: Place) -> StudySpace:
    """Return a study's space; where study.json is damaged, its records name artifacts all the same."""
    try:
        return description(folder).space
    except StorageError:
        return UNKNOWN_SPACE
