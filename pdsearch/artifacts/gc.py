"""Garbage collection of a storage: which entries no study names, and their removal."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pdsearch.artifacts.base import Holding

if TYPE_CHECKING:
    from pdsearch.artifacts.object_store import ArtifactStore


def entries_in_use(store: "ArtifactStore", named: Collection[tuple[str, str]]) -> Iterator[Holding]:
    """Yield every entry of a store, with what it is used for.

    Args:
        store: The store.
        named: (stage, key) of the entries that studies' records name.
    """
    building = store.building()
    for item in store.holdings():
        name = (item.stage, item.key)
        yield replace(item, named=name in named, building=name in building)


def candidates(entries: Collection[Holding], *, max_bytes: int | None, every: bool) -> list[Holding]:
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


def collect(store: "ArtifactStore", chosen: Collection[Holding]) -> int:
    """Remove entries; return the bytes freed. A reader that has a file open can still read it."""
    freed = sum(entry.size for entry in chosen if store.remove(entry.stage, entry.key))
    freed += store.empty_quarantine()
    store.sweep()
    return freed


def total_bytes(entries: Collection[Holding]) -> int:
    """Return the bytes of all entries."""
    return sum(entry.size for entry in entries)
