"""What may an entry be called? Names that cannot leave their folder."""

import re

from pdsearch.errors import StorageError

__all__ = ["check_name", "is_key", "is_stage"]

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
