"""Entries of artifact stores: names and keys, who builds one while others wait, which go when storage is cleared."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pdsearch.errors import StorageError
from pdsearch.specs import Json, digest

if TYPE_CHECKING:
    from pdsearch.artifacts.object_store import ArtifactStore


@dataclass(frozen=True)
class Entry:
    """One published result.

    Args:
        stage: The stage that made it.
        key: Its key, 64 hex digits.
        folder: Folder of its files, which never change and may be memory-mapped.
        meta: Metadata from the stage.
    """

    stage: str
    key: str
    folder: Path
    meta: dict[str, Json] = field(default_factory=dict, compare=False)

    def path(self, name: str) -> Path:
        """Return the path of one payload file."""
        return self.folder / name


@dataclass(frozen=True)
class Holding:
    """An entry as listed, without a check of its content.

    Args:
        stage: Its stage.
        key: Its key.
        size: Bytes of its files.
        published: Time of publication by the storage's clock, in seconds since 1970.
        named: Whether a study's records name it; see `held`.
        building: Whether it, or an entry that depends on it, is being built: a worker holds its lease.
    """

    stage: str
    key: str
    size: int
    published: float
    named: bool = False
    building: bool = False


_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_KEY = re.compile(r"[0-9a-f]{64}")


def is_stage(name: str) -> bool:
    """Return whether this is a valid name of a stage."""
    return _STAGE.fullmatch(name) is not None


def is_key(name: str) -> bool:
    """Return whether this is a valid key."""
    return _KEY.fullmatch(name) is not None


def check_name(stage: str, key: str, *, where: str) -> None:
    """Refuse an invalid name of an entry.

    Raises:
        StorageError: The stage or the key is invalid.
    """
    if not is_stage(stage) or not is_key(key):
        raise StorageError(f"{stage!r}/{key!r} does not name an artifact", where=where)


def stage_key(stage: str, version: int, *, fields: Json, upstream: Mapping[str, str]) -> str:
    """Return the key of a stage's result, 64 hex digits.

    Args:
        stage: Name of the stage, e.g. "teacher".
        version: Version of the stage; raised when the same fields would give another result.
        fields: Everything that affects the result, usually `keyed(spec)` of the specs the stage reads.
        upstream: Keys of the artifacts the stage reads, by role, e.g. {"dense": key}.

    Raises:
        TypeError: A field has no canonical form.
        ValueError: A number is not finite.
    """
    return digest({"stage": stage, "version": version, "fields": fields, "upstream": dict(upstream)})


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


class Turn:
    """One process's attempt to get an entry. Invariant: after `wait`, `entry` is set or this process holds the lease.

    Attributes:
        entry: The entry, once it was found or published.
        hit: Whether the entry existed already, or was built by another process.
    """

    def __init__(self, store: "ArtifactStore", stage: str, key: str) -> None:
        self._store, self._name = store, (stage, key)
        self._lease = store.lease(stage, key)
        self.entry: Entry | None = store.find(stage, key)
        self.hit = self.entry is not None

    def wait(self) -> Iterator[float]:
        """Yield the seconds waited so far, every `store.poll_s`, until the entry exists or the lease is acquired."""
        start = time.monotonic()
        while self.entry is None and not self._lease.try_acquire():
            time.sleep(self._store.poll_s)
            yield time.monotonic() - start
            self._look()
        # The last owner may have published between our check and its release of the lease.
        if self.entry is None:
            self._look()

    def publish(self, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Publish the entry that was built; see `Store.publish`."""
        self.entry = self._store.publish(*self._name, write, meta)
        return self.entry

    def close(self) -> None:
        """Release the lease."""
        self._lease.release()

    def _look(self) -> None:
        self.entry = self._store.find(*self._name)
        self.hit = self.entry is not None


@contextmanager
def building(store: "ArtifactStore", stage: str, key: str) -> Iterator[Turn]:
    """Find an entry, wait for it, or get the lease to build it; for stages that are generators.

    with building(store, "teacher", key) as turn:
        for seconds in turn.wait():
            yield Progress("teacher", note="another worker trains it")
        if turn.entry is None:
            yield from fit(...)
            turn.publish(write, meta)

    Closing the generator at any point releases the lease.

    Args:
        store: The store of the entry.
        stage: Name of the stage.
        key: Key of the entry.
    """
    turn = Turn(store, stage, key)
    try:
        yield turn
    finally:
        turn.close()
