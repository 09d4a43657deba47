"""Garbage collection: entries in use stay; the others are removed, least recently published first."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pdsearch.artifacts.base import KeptStore

Name = tuple[str, str]


@dataclass(frozen=True)
class Held:
    """An entry of a store.

    Args:
        stage: Its stage.
        key: Its key.
        size: Bytes of its payload.
        published: Time of publication by the storage's clock, in seconds since 1970.
        named: Whether a study's records name it.
        building: Whether it, or an entry that depends on it, is being built: a worker holds its lease.
    """

    stage: str
    key: str
    size: int
    published: float
    named: bool
    building: bool


def held(store: KeptStore, named: Collection[Name]) -> Iterator[Held]:
    """Yield every entry of a store.

    Args:
        store: The store.
        named: (stage, key) of the entries that studies' records name.
    """
    building = store.building()
    for item in store.holdings():
        name = (item.stage, item.key)
        yield Held(*name, item.size, item.published, name in named, name in building)


def candidates(entries: Collection[Held], *, max_bytes: int | None, every: bool) -> list[Held]:
    """Return the entries to remove, oldest first.

    Args:
        entries: All entries of the store.
        max_bytes: Stop as soon as no more than this is left; None removes all that may be removed.
        every: Whether entries named by records may be removed as well; they are built again when needed.
    """
    free = [entry for entry in entries if not entry.building and (every or not entry.named)]
    # Entries that no record names are removed first.
    free.sort(key=lambda entry: (entry.named, entry.published, entry.key))
    if max_bytes is None:
        return free
    left, chosen = total_bytes(entries), []
    for entry in free:
        if left <= max_bytes:
            break
        chosen.append(entry)
        left -= entry.size
    return chosen


def collect(store: KeptStore, chosen: Collection[Held]) -> int:
    """Remove entries; return the bytes freed. A reader that has a file open can still read it."""
    freed = sum(entry.size for entry in chosen if store.remove(entry.stage, entry.key))
    freed += store.empty_quarantine()
    store.sweep()
    return freed


def total_bytes(entries: Collection[Held]) -> int:
    """Return the bytes of all entries."""
    return sum(entry.size for entry in entries)
