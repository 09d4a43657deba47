"""Places: a folder or a prefix of an object storage, joined by `place / name` like paths, and their local folders.

A URL is checked before anything uses it: its scheme, its form, and that it holds no secret.
"""

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

from pdsearch.errors import ConfigError, is_secret, redacted
from pdsearch.io.durable import from_home


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


def local_folder(place: Place) -> Path:
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


SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs")
"""Schemes of pyarrow.fs that results can be stored on. S3 is tested; the others use the same code path."""

_NAME = re.compile(r"[^\s%\\\x00-\x1f\x7f]+")

_CREDENTIALS = (
    "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in ~/.aws, or the instance's role"
)


def is_url(text: str) -> bool:
    """Return whether a text is a URL rather than a path."""
    return "://" in text


def flaw(url: str) -> tuple[str, str] | None:
    """Return what is wrong with a storage's URL and what to do; None if nothing is. No secrets are included."""
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        return f"{scheme}:// is no storage", f"name a folder, or one of {known}"
    try:
        parts = urlsplit(url)
        names = [
            name
            for name, _ in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        ]
    except ValueError as error:
        return f"{redacted(url)} is no URL: {error}", "write s3://bucket/prefix?option=value&option=value"
    if "@" in parts.netloc and not _harmless_user(scheme, parts.netloc):
        return f"{redacted(url)}: credentials do not belong into a URL", _CREDENTIALS
    secret = next((name for name in names if is_secret(name)), None)
    if secret is not None:
        return f"{redacted(url)}: {secret} does not belong into a URL", _CREDENTIALS
    if not parts.netloc and scheme != "hdfs":
        return f"{redacted(url)} names no bucket", f"write {scheme}://bucket/prefix"
    return _bad_path(redacted(url), parts.path.strip("/"), parts.fragment)


def _harmless_user(scheme: str, netloc: str) -> bool:
    """Return whether the user part is no secret: Azure puts the container's name there, Google's `anonymous`."""
    user = netloc.rpartition("@")[0]
    return ":" not in user and (scheme in ("abfs", "abfss") or user == "anonymous")


def _bad_path(shown: str, path: str, fragment: str) -> tuple[str, str] | None:
    hint = "use names of letters, digits, dots and dashes"
    if fragment:
        return f"{shown}: # has no meaning here", hint
    for name in path.split("/") if path else ():
        if name in ("", ".", "..") or not _NAME.fullmatch(name):
            return f"{shown}: {name!r} is no name in a storage", hint
    return None
