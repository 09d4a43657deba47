"""Where do the temporary files of a Ray of our own lie, and when do they go? With it; if killed, with the next run."""

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from pdsearch.artifacts import draft_name, is_orphan

__all__ = ["make_folder", "remove_folder"]

_OWNER = "owner"
_SOCKET_LIMIT = 40  # Ray's sockets lie about 60 characters deeper, and a socket's path ends at 107.
_TRIES, _PAUSE_S = 10, 0.1


def make_folder() -> Path:
    """Make a folder for this session, and remove those of drivers that were killed here."""
    base = tempfile.gettempdir()
    place = Path(base if len(base) <= _SOCKET_LIMIT else "/tmp")
    for left in place.glob("pds-*"):
        with suppress(OSError):
            if is_orphan((left / _OWNER).read_text()):
                remove_folder(left)
    folder = Path(tempfile.mkdtemp(prefix="pds-", dir=place))
    (folder / _OWNER).write_text(draft_name())
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a session's folder, its owner's name last: the next run removes what could not be removed by this one.

    Ray's agents end a moment after their Ray, and may write a file while it is removed.
    """
    owner = folder / _OWNER
    for _ in range(_TRIES):
        with suppress(OSError):
            for path in folder.iterdir():
                if path != owner:
                    _remove(path)
            if {*folder.iterdir()} <= {owner}:
                owner.unlink(missing_ok=True)
                folder.rmdir()
        if not folder.exists():
            return
        time.sleep(_PAUSE_S)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
