"""Local folders of a machine for runs on an object storage: a study's journal, the cache of entries."""

import hashlib
import os
from pathlib import Path

from pdsearch.io.place import Place, Remote


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
