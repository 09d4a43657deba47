"""Entries of artifact stores: their names, keys and sizes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
