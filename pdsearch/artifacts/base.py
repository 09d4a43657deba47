"""Entries of artifact stores: their names, their keys, and which of them go when storage is cleared out."""

import re
from collections.abc import Collection, Iterator, Mapping
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
