"""Places: a folder or a prefix of an object storage, extended by `place / name` as paths are."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from pdsearch.errors import ConfigError
from pdsearch.io.url import flaw, is_url

__all__ = ["Place", "Remote", "place", "resolved"]


@dataclass(frozen=True)
class Remote:
    """A name in an object storage; nothing is asked of the storage here. Holds no secret: `flaw` refuses those.

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
        """The last name."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "Remote":
        """What it lies in."""
        return replace(self, path=self.path.rpartition("/")[0])

    def with_name(self, name: str) -> "Remote":
        """Return its neighbour of another name."""
        return self.parent / name

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.bucket}/{self.path}{query}"


Place: TypeAlias = Path | Remote


def place(where: str | os.PathLike[str] | Remote) -> Place:
    """Return the place that a path or a URL names.

    Raises:
        ConfigError: It looks like a URL and is not one of a storage.
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
    """Return a place whose meaning does not depend on the folder one works in."""
    found = place(where)
    return found if isinstance(found, Remote) else found.expanduser().absolute()
