"""Are the records whole, does each trial's second one fit its first, and is each key finished once?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pdsearch.invariants.broken import Broken
from pdsearch.records import read_records
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
    kinds: dict[str, dict[str, dict[str, Any]]] = {}
    broken: list[Broken] = []
    for kind in ("asked", "finished"):
        suffix = f".{kind}.json"
        records = read_records(folder, suffix)
        broken += [Broken("records", item.reason, str(item.path), mended=not live) for item in records.broken]
        kinds[kind] = {}
        for name, record in records.found.items():
            if record.get("id") == name.removesuffix(suffix):
                kinds[kind][record["id"]] = record
            else:
                broken.append(
                    Broken("records", "holds another trial's record", str(folder / name), mended=not live)
                )
    return Found(**kinds), broken


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
