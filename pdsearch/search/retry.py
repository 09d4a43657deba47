"""How are failed trials tried again? Search trials are asked again; of others the record is set aside.

A failed trial's error is deterministic until somebody mends its cause, so that only a person asks for this.
"""

from collections.abc import Callable, Sequence

from pdsearch.artifacts import hold
from pdsearch.records import Broken
from pdsearch.search.records import Records
from pdsearch.storage import Place, names, place, rename
from pdsearch.studies import description

__all__ = ["retry_failed"]


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
        return [*_asked_again(records), *_set_aside(records)]


def _asked_again(records: Records) -> list[str]:
    """Write down what the next run asks again; it does so once, wherever the study lives."""
    failed = [
        name
        for name, record in records.finished.items()
        if record.state == "failed" and record.number is not None
    ]
    return [name for name in failed if records.retry(name)]


def _set_aside(records: Records) -> list[str]:
    """Rename the records of failed baselines and confirmations, which are named by what they are."""
    again = []
    for name, record in records.finished.items():
        if record.state == "failed" and record.number is None:
            before = [other for other in names(records.folder) if other.startswith(f"{name}.failed-")]
            rename(records.folder / f"{name}.finished.json", f"{name}.failed-{len(before) + 1}.json")
            again.append(name)
    return again
