"""The URL of an Optuna study's storage: a journal file in the study's folder or elsewhere, or a database."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pdsearch.io.durable import from_home

BESIDE = "journal"
"""The value that means a journal in the study's own folder."""

_FILES = ("journal", "sqlite")
_EXAMPLES = "sqlite:///FILE, postgresql://USER@HOST/DATABASE or journal:///FILE"
_SECRETS = ("password", "passfile", "sslpassword")


class LedgerUrl(NamedTuple):
    """A parsed URL.

    Args:
        kind: "journal", "sqlite" or "postgresql".
        path: Absolute path of the file; None for a server.
        text: The whole URL, with an absolute path; it holds no secret.
    """

    kind: str
    path: Path | None
    text: str


def read_ledger_url(text: str) -> LedgerUrl:
    """Parse a URL; a relative path is resolved against the current folder.

    Raises:
        ValueError: Its kind is unknown, or it holds a password. The message never repeats the URL.
    """
    try:
        parts = urlsplit(text)
        secret = parts.password is not None or any(name in _SECRETS for name, _ in parse_qsl(parts.query))
        host, database, _ = parts.hostname, parts.path.lstrip("/"), parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if secret:
        raise ValueError("a password has no place in a space file")
    if parts.scheme == "postgresql":
        if not database or (host is None and not parts.query):
            raise ValueError("names no server or no database")
        return LedgerUrl("postgresql", None, text)
    if parts.scheme not in _FILES:
        raise ValueError("names no kind of storage that is known")
    prefix = f"{parts.scheme}:///"
    name = text.removeprefix(prefix)
    if not text.startswith(prefix) or not name.strip() or name.startswith(":memory:") or parts.query:
        raise ValueError("names no file")
    path = from_home(name).absolute()
    return LedgerUrl(parts.scheme, path, f"{prefix}{path}")


def ledger_hint(reason: str) -> str:
    """Return the hint for a URL that was refused for the given reason."""
    if "password" in reason:
        return "leave it out: PostgreSQL's client takes it from PGPASSWORD or from ~/.pgpass"
    return f"write {BESIDE}, {_EXAMPLES}"
