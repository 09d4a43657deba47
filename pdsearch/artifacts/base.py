"""Protocols of artifact stores, names of entries, and their keys."""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pdsearch.artifacts.leases.owner import Owner
from pdsearch.errors import StorageError
from pdsearch.specs import Json, digest


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
    """

    stage: str
    key: str
    size: int
    published: float


class AnyLease(Protocol):
    """Lease to build an entry or drive a study; see `Lease` and `ObjectLease` for their guarantees."""

    @property
    def held(self) -> bool:
        """Whether this process holds the lease now."""

    def owner(self) -> Owner | None:
        """Return its owner, if there is one."""

    def try_acquire(self) -> bool:
        """Take it if it is free or its owner is dead."""

    def moved(self) -> bool:
        """Return whether its owner was seen to be alive."""

    def release(self) -> None:
        """Release it."""


class ArtifactStore(Protocol):
    """Operations of a store that stages need."""

    @property
    def poll_s(self) -> float:
        """Seconds between two polls while another process builds an entry."""

    def find(self, stage: str, key: str) -> Entry | None:
        """Return a complete entry after checking it, or None."""

    def publish(self, stage: str, key: str, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Write an entry atomically; an existing one is kept and returned."""

    def used(self, stage: str) -> int:
        """Return the bytes that a stage's entries take."""

    def lease(self, stage: str, key: str) -> AnyLease:
        """Return the lease under which the entry is built."""


class KeptStore(ArtifactStore, Protocol):
    """Further operations, for the maintenance of a store."""

    def holdings(self) -> Iterator[Holding]:
        """Yield every entry, unchecked, in sorted order."""

    def building(self) -> Set[tuple[str, str]]:
        """Return (stage, key) of the entries being built, as far as can be told from here."""

    def complaint(self, stage: str, key: str, *, deep: bool = True) -> str | None:
        """Return what is wrong with an entry; None if nothing is, or there is no entry. Nothing is changed."""

    def remove(self, stage: str, key: str) -> bool:
        """Remove an entry; returns whether there was one."""

    def leftovers(self) -> list[Path]:
        """Return unfinished files whose writers have ended."""

    def sweep(self) -> int:
        """Remove leftovers of ended processes, leases included; returns their number."""

    def empty_quarantine(self) -> int:
        """Remove quarantined entries; returns their size in bytes."""


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
