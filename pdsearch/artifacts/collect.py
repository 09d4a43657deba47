"""Which artifacts may go, and which must stay? None in use ever goes; the rest goes least recently published first."""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pdsearch.artifacts.lease import Lease
from pdsearch.artifacts.owner import is_dead
from pdsearch.artifacts.store import Store
from pdsearch.durable import storage_errors

__all__ = ["Held", "candidates", "collect", "held", "total_bytes"]

Name = tuple[str, str]


@dataclass(frozen=True)
class Held:
    """An entry of a store.

    Args:
        stage: Its stage.
        key: Its key.
        size: Bytes of its payload.
        published: When, by the storage's clock, in seconds since 1970.
        named: A study's records name it.
        building: It is being built anew, or what stands on it is: a worker holds its lease.
    """

    stage: str
    key: str
    size: int
    published: float
    named: bool
    building: bool


def held(store: Store, named: Collection[Name]) -> Iterator[Held]:
    """Yield every entry of a store.

    Args:
        store: Where to look.
        named: (stage, key) of what studies' records name.
    """
    for stage, key in store.entries():
        folder = store.root / stage / key[:2] / key
        with storage_errors(folder):
            try:
                published = folder.stat().st_mtime
                size = store.size(stage, key)
            except FileNotFoundError:
                continue  # Somebody removed it just now.
        owner = Lease(store.lease(stage, key).path).owner()
        building = owner is not None and not is_dead(owner)
        yield Held(stage, key, size, published, (stage, key) in named, building)


def candidates(entries: Collection[Held], *, max_bytes: int | None, every: bool) -> list[Held]:
    """Return what to remove, oldest first.

    Args:
        entries: All of the store.
        max_bytes: Stop as soon as no more than this is left; None removes all that may go.
        every: What records name may go as well; it is made again when it is needed.
    """
    free = [entry for entry in entries if not entry.building and (every or not entry.named)]
    # What nobody names goes before what records name.
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


def collect(store: Store, chosen: Collection[Held]) -> int:
    """Remove entries; return the bytes that are free now. A reader that has a file open keeps it."""
    freed = sum(entry.size for entry in chosen if store.remove(entry.stage, entry.key))
    quarantine = store.root / ".quarantine"
    if quarantine.is_dir():
        freed += _size(quarantine)
        shutil.rmtree(quarantine, ignore_errors=True)
    store.sweep()
    return freed


def total_bytes(entries: Collection[Held]) -> int:
    """Return the bytes of all entries."""
    return sum(entry.size for entry in entries)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
