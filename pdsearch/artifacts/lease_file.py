"""What happens to a lease file on disk? One process creates it, and it is removed only while unchanged."""

import json
import os
from contextlib import suppress
from pathlib import Path

from pdsearch.artifacts.drafts import draft_name
from pdsearch.artifacts.owner import Owner
from pdsearch.durable import read_regular

__all__ = ["claim", "parse", "read", "record", "remove"]


def record(owner: Owner, counter: int) -> bytes:
    """Return the bytes of a lease file."""
    # Fixed width, so that a later record always covers an earlier one.
    return json.dumps({**owner.to_json(), "counter": f"{counter:012d}"}, sort_keys=True).encode() + b"\n"


def parse(content: bytes) -> Owner | None:
    """Return the owner named in a lease file, or None if it cannot be read."""
    try:
        value = json.loads(content)
        return Owner(value["host"], value["machine"], int(value["pid"]), value["born"], value["uuid"])
    except (ValueError, TypeError, KeyError):
        return None


def read(path: Path) -> bytes:
    """Return the bytes of a lease file, empty if there is none."""
    try:
        # A lease file that exists says something, even if its owner died before it wrote.
        return read_regular(path) or b"\n"
    except FileNotFoundError:
        return b""


def claim(path: Path, record: bytes) -> int | None:
    """Create a lease file and return it open, or None if the path is taken."""
    draft = path.with_name(f".{draft_name()}")
    try:
        descriptor = _create(draft, record)
        try:
            os.link(draft, path)
            return descriptor
        except OSError as error:
            os.close(descriptor)
            # Where hard links are not supported, an exclusive creation is atomic too, but empty for a moment.
            return None if isinstance(error, FileExistsError) else _create(path, record)
    except FileExistsError:
        return None
    finally:
        draft.unlink(missing_ok=True)


def _create(path: Path, record: bytes) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.pwrite(descriptor, record, 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove(path: Path, content: bytes) -> None:
    """Remove a lease file if it still names the owner that `content` names."""
    aside = path.with_name(f".{draft_name()}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    # Between judging and moving, another process may have taken over: its lease goes back.
    if parse(read(aside)) != parse(content):
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
