"""Folders of the machine itself when the run lies elsewhere: a study's journal, copies of what was read."""

import hashlib
import os
from pathlib import Path

from pdsearch.io.place import Place, Remote

__all__ = ["beside", "cache_folder"]


def beside(place: Place) -> Path:
    """Return the folder for files that must lie on a local disk: the place itself, or this user's state folder.

    Args:
        place: Of a study, usually.
    """
    if not isinstance(place, Remote):
        return place
    return _home("XDG_STATE_HOME", ".local/state") / _short(place)


def cache_folder(place: Remote) -> Path:
    """Return the folder for copies of what lies at a place, shared by this user's processes on this machine."""
    return _home("XDG_CACHE_HOME", ".cache") / _short(place)


def _home(variable: str, usual: str) -> Path:
    # The base directories of the XDG specification; a relative path there is to be ignored.
    named = os.environ.get(variable, "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / usual
    return base / "pdsearch"


def _short(place: Remote) -> str:
    """Return a name that tells a person which place it is, and is another one for any other place."""
    return f"{place.name or 'bucket'}-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"
