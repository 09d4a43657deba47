"""What every store of artifacts offers, the names of entries, and their keys."""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pdsearch.artifacts.leases.owner import Owner
from pdsearch.errors import StorageError
from pdsearch.specs import Json, digest

__all__ = [
    "AnyLease",
    "ArtifactStore",
    "Entry",
    "Holding",
    "KeptStore",
    "check_name",
    "is_key",
    "is_stage",
    "stage_key",
]


@dataclass(frozen=True)
class Entry:
    """One published result.

    Args:
        stage: The stage that made it.
        key: Its key, 64 hex digits.
        folder: Where its files lie; they are never written again and may be memory-mapped.
        meta: What the stage said of it.
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
    """An entry as it lies there, unchecked.

    Args:
        stage: Its stage.
        key: Its key.
        size: Bytes of its files.
        published: When, by the storage's clock, in seconds since 1970.
    """

    stage: str
    key: str
    size: int
    published: float


class AnyLease(Protocol):
    """Who may build or drive; see `Lease` for what a file promises and `ObjectLease` for what an object does."""

    @property
    def held(self) -> bool:
        """Whether this process holds the lease now."""

    def owner(self) -> Owner | None:
        """Return who holds it, if anybody."""

    def try_acquire(self) -> bool:
        """Take it if it is free or its owner is gone."""

    def moved(self) -> bool:
        """Return True when its owner was seen to be alive."""

    def release(self) -> None:
        """Give it back."""


class ArtifactStore(Protocol):
    """What a stage needs of a store."""

    @property
    def poll_s(self) -> float:
        """Seconds between two looks while another process builds an entry."""

    def find(self, stage: str, key: str) -> Entry | None:
        """Return a whole, checked entry, or None."""

    def publish(self, stage: str, key: str, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Write an entry, all or nothing; an existing one wins."""

    def used(self, stage: str) -> int:
        """Return the bytes that a stage's entries take."""

    def lease(self, stage: str, key: str) -> AnyLease:
        """Return the lease under which the entry is built."""


class KeptStore(ArtifactStore, Protocol):
    """What looking after a store needs besides."""

    def holdings(self) -> Iterator[Holding]:
        """Yield every entry, unchecked, in sorted order."""

    def building(self) -> Set[tuple[str, str]]:
        """Return (stage, key) of what is being built, as far as can be told from here."""

    def complaint(self, stage: str, key: str, *, deep: bool = True) -> str | None:
        """Say what is wrong with an entry; None if nothing is, or there is none. Nothing is changed."""

    def remove(self, stage: str, key: str) -> bool:
        """Remove an entry; returns whether there was one."""

    def leftovers(self) -> list[Path]:
        """Return what lies there that its writers will not finish."""

    def sweep(self) -> int:
        """Remove what ended processes left, leases included; returns how many things."""

    def empty_quarantine(self) -> int:
        """Remove what was found broken and kept; returns its bytes."""


_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_KEY = re.compile(r"[0-9a-f]{64}")


def is_stage(name: str) -> bool:
    """Say whether a stage may be called so."""
    return _STAGE.fullmatch(name) is not None


def is_key(name: str) -> bool:
    """Say whether this is a key."""
    return _KEY.fullmatch(name) is not None


def check_name(stage: str, key: str, *, where: str) -> None:
    """Refuse what does not name an entry.

    Raises:
        StorageError: It does not.
    """
    if not is_stage(stage) or not is_key(key):
        raise StorageError(f"{stage!r}/{key!r} does not name an artifact", where=where)


def stage_key(stage: str, version: int, *, fields: Json, upstream: Mapping[str, str]) -> str:
    """Return the key of a stage's result, 64 hex digits.

    Args:
        stage: Name of the stage, e.g. "teacher".
        version: Of the stage's code; raised when the same fields would give another result.
        fields: What affects the result, usually `keyed(spec)` of the specs the stage reads.
        upstream: Keys of the artifacts the stage reads, by role, e.g. {"dense": key}.

    Raises:
        TypeError: A field has no canonical form.
        ValueError: A number is not finite.
    """
    return digest({"stage": stage, "version": version, "fields": fields, "upstream": dict(upstream)})
