"""Folders for temporary files of a session; those of killed processes are removed by the next session."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdsearch.artifacts import draft_name, is_orphan
from pdsearch.cluster.connection.supervisor import OWNER, remove_folder
from pdsearch.io import remove_tree

_UNOWNED_S = 600.0
"""Age in seconds from which a folder without an owner is that of a process killed before it wrote the file."""

_SOCKET_LIMIT = 40  # Ray's sockets lie about 60 characters deeper, and a socket's path has at most 107.


@contextmanager
def tune_folder(session: Path | None, study: Path) -> Iterator[Path]:
    """Yield a folder for Tune's own files (22 kB a trial), which are not needed after the run and are removed.

    Only the driver writes there, so other nodes need not see it.

    Args:
        session: Folder of a local Ray's session; None makes a folder, and removes those of processes killed here.
        study: The study's folder, where earlier versions kept Tune's files; they are removed.
    """
    remove_tree(study / "tune")
    folder = make_folder(sockets=False) if session is None else session
    try:
        yield folder / "tune"
    finally:
        if session is None:
            remove_folder(folder)


def make_folder(*, sockets: bool = True) -> Path:
    """Make a folder owned by this process, and remove those of processes that were killed on this machine.

    Args:
        sockets: Ray's sockets will lie in it, so that its path must be short.
    """
    base = tempfile.gettempdir()
    place = Path(base if len(base) <= _SOCKET_LIMIT or not sockets else "/tmp")
    for left in place.glob("pds-*"):
        with suppress(OSError):
            if _is_left(left):
                remove_folder(left)
    folder = Path(tempfile.mkdtemp(prefix="pds-", dir=place))
    (folder / OWNER).write_text(draft_name())
    return folder


def _is_left(folder: Path) -> bool:
    """Return whether a folder is that of a process that was killed on this machine."""
    owner = folder / OWNER
    whose = owner.read_text() if owner.exists() else ""
    if whose:
        return is_orphan(whose)
    return {*folder.iterdir()} <= {owner} and time.time() - folder.stat().st_mtime > _UNOWNED_S
