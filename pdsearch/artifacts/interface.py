"""What does a stage need of a store? What a folder offers now and S3 can offer later."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pdsearch.artifacts.lease import Lease
from pdsearch.specs import Json

__all__ = ["ArtifactStore", "Entry"]


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


class ArtifactStore(Protocol):
    """What a stage needs of a store; a store on S3 has to offer this and no more."""

    def find(self, stage: str, key: str) -> Entry | None:
        """Return a whole, checked entry, or None."""

    def publish(self, stage: str, key: str, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Write an entry, all or nothing; an existing one wins."""

    def used(self, stage: str) -> int:
        """Return the bytes that a stage's entries take."""

    def lease(self, stage: str, key: str) -> Lease:
        """Return the lease under which the entry is built."""
