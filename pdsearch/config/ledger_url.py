"""The URL of an Optuna study: a journal beside the run or elsewhere, or a database."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

__all__ = ["BESIDE", "LedgerUrl", "ledger_hint", "read_ledger_url"]

BESIDE = "journal"
"""The word for a journal in the study's own folder."""

_FILES = ("journal", "sqlite")
_EXAMPLES = "sqlite:///FILE, postgresql://USER@HOST/DATABASE or journal:///FILE"
_SECRETS = ("password", "passfile", "sslpassword")


class LedgerUrl(NamedTuple):
    """A URL taken apart.

    Args:
        kind: "journal", "sqlite" or "postgresql".
        path: Of the file, absolute; None for a server.
        text: The whole URL, with an absolute path; it holds no secret.
    """

    kind: str
    path: Path | None
    text: str


def read_ledger_url(text: str) -> LedgerUrl:
    """Read a URL; a relative path counts from the current folder.

    Raises:
        ValueError: It is none of those that are known, or holds a password. The message never repeats the URL.
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
    path = Path(name).expanduser().absolute()
    return LedgerUrl(parts.scheme, path, f"{prefix}{path}")


def ledger_hint(reason: str) -> str:
    """Return what to do about a URL that was refused for a reason."""
    if "password" in reason:
        return "leave it out: PostgreSQL's client takes it from PGPASSWORD or from ~/.pgpass"
    return f"write {BESIDE}, {_EXAMPLES}"
