"""Places: a folder or a prefix of an object storage, joined by `place / name` like paths, and their local folders."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from pdsearch.errors import ConfigError
from pdsearch.io.durable import from_home
from pdsearch.io.url import flaw, is_url


@dataclass(frozen=True)
class Remote:
    """A path in an object storage, without access to it. It contains no secret: `flaw` refuses URLs with one.

    Args:
        bucket: Scheme and bucket, "s3://bucket".
        path: Names below it, joined by "/"; "" for the bucket itself.
        query: Options of the file system, as in the URL.
    """

    bucket: str
    path: str
    query: str = ""

    def __truediv__(self, name: str) -> "Remote":
        return replace(self, path=f"{self.path}/{name}" if self.path else name)

    @property
    def name(self) -> str:
        """The last component."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "Remote":
        """The enclosing prefix."""
        return replace(self, path=self.path.rpartition("/")[0])

    def with_name(self, name: str) -> "Remote":
        """Return the path with its last component replaced."""
        return self.parent / name

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.bucket}/{self.path}{query}"


Place: TypeAlias = Path | Remote


def place(where: str | os.PathLike[str] | Remote) -> Place:
    """Return the place that a path or a URL names.

    Raises:
        ConfigError: It looks like a URL, but not of a known storage.
    """
    if isinstance(where, Remote):
        return where
    if not isinstance(where, str) or not is_url(where):
        return Path(where)
    wrong = flaw(where)
    if wrong is not None:
        raise ConfigError(wrong[0], where="storage", hint=wrong[1])
    parts = urlsplit(where)
    return Remote(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/"), parts.query)


def resolved(where: str | os.PathLike[str] | Remote) -> Place:
    """Return an absolute place, independent of the current folder."""
    found = place(where)
    return found if isinstance(found, Remote) else from_home(found).absolute()


def beside(place: Place) -> Path:
    """Return the folder for files that must be on a local disk: the place itself, or one in the user's state folder.

    Args:
        place: Usually that of a study.
    """
    if not isinstance(place, Remote):
        return place
    return _home("XDG_STATE_HOME", ".local/state") / _short(place)


def cache_folder(place: Remote) -> Path:
    """Return the folder for the cache of a place, shared by this user's processes on this machine."""
    return _home("XDG_CACHE_HOME", ".cache") / _short(place)


def _home(variable: str, usual: str) -> Path:
    # By the XDG base directory specification; it demands that relative paths be ignored.
    named = os.environ.get(variable, "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / usual
    return base / "pdsearch"


def _short(place: Remote) -> str:
    """Return a readable name for a place, unique by a hash."""
    return f"{place.name or 'bucket'}-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"
