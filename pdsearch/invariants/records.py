"""Are the records whole, does each trial's second one fit its first, and is each key finished once?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pdsearch.invariants.broken import Broken
from pdsearch.records import read_trials
from pdsearch.storage import Place

__all__ = ["Found", "check", "read"]

_SAME = ("kind", "number", "key", "params", "spec")


@dataclass(frozen=True)
class Found:
    """A study's records by id."""

    asked: Mapping[str, dict[str, Any]]
    finished: Mapping[str, dict[str, Any]]


def read(folder: Place, *, live: bool) -> tuple[Found, list[Broken]]:
    """Return the records of a folder and what is wrong with its files."""
    asked, finished, wanted = (read_trials(folder, kind) for kind in ("asked", "finished", "retry"))
    broken = [
        Broken("records", item.reason, str(item.path), mended=not live)
        for records in (asked, finished, wanted)
        for item in records.broken
    ]
    return Found(asked.found, finished.found), broken


def check(found: Found) -> Iterator[Broken]:
    """Check the records against one another."""
    done: dict[tuple[str, str], str] = {}
    for name, record in found.finished.items():
        asked = found.asked.get(name)
        for field in _SAME if asked else ():
            if asked and asked[field] != record[field]:
                yield Broken("records", f"{field} is not what was asked", name)
        yield from _reports(name, record)
        if record["state"] == "failed":
            continue  # It may be tried again, under the same key.
        twin = done.setdefault((record["kind"], record["key"]), name)
        if twin != name:
            yield Broken("once", f"finished before, as {twin}", name)


def _reports(name: str, record: Mapping[str, Any]) -> Iterator[Broken]:
    epochs = [report["epoch"] for report in record["reports"]]
    if epochs != list(range(1, len(epochs) + 1)):
        yield Broken("reports", f"epochs do not follow one another: {epochs}", name)
