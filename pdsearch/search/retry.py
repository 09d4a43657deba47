"""How are failed trials tried again? Search trials are asked again; of others the record is set aside.

A failed trial's error is deterministic until somebody mends its cause, so that only a person asks for this.
"""

from pathlib import Path

from pdsearch.artifacts import hold
from pdsearch.durable import storage_errors
from pdsearch.errors import ConfigError
from pdsearch.search.records import Records

__all__ = ["retry_failed"]


def retry_failed(folder: Path) -> list[str]:
    """Have every failed trial of a study asked again by its next run; return their ids.

    Raises:
        ConfigError: The folder is not a study's.
        StudyHeldError: A run is at work on it.
        StorageError: It cannot be read or written.
    """
    if not (folder / "study.json").is_file():
        raise ConfigError("not a study's folder", where=str(folder), hint="name runs/STUDY")
    with hold(folder / "driver.lease"):
        records = Records(folder / "trials")
        return [*_asked_again(records), *_set_aside(records)]


def _asked_again(records: Records) -> list[str]:
    """Write down what the next run asks again; it does so once, wherever the study lives."""
    failed = [
        name
        for name, record in records.finished.items()
        if record["state"] == "failed" and record["number"] is not None
    ]
    return [name for name in failed if records.retry(name)]


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
