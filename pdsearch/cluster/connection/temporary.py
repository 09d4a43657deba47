"""The folder of a local Ray's temporary files: made for a session, and that of a killed one removed by the next."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdsearch.artifacts import draft_name, is_orphan
from pdsearch.cluster.connection.supervisor import OWNER, remove_folder
from pdsearch.io import remove_tree

__all__ = ["make_folder", "remove_folder", "tune_folder"]

_TUNE = "tune"

_SOCKET_LIMIT = 40  # Ray's sockets lie about 60 characters deeper, and a socket's path ends at 107.


@contextmanager
def tune_folder(session: Path | None, study: Path) -> Iterator[Path]:
    """Give Tune a folder for its own files (22 kB a trial), which nobody reads afterwards and which goes with the run.

    Only the driver writes there, so that no other node need see it.

    Args:
        session: Folder of a local Ray's session; None makes one, and removes those of drivers that were killed here.
        study: Where earlier versions let Tune's files grow; they are removed.
    """
    remove_tree(study / _TUNE)
    folder = make_folder(sockets=False) if session is None else session
    try:
        yield folder / _TUNE
    finally:
        if session is None:
            remove_folder(folder)


def make_folder(*, sockets: bool = True) -> Path:
    """Make a folder for this session, and remove those of drivers that were killed here.

    Args:
        sockets: Ray's sockets will lie in it, so that its path must be short.
    """
    base = tempfile.gettempdir()
    place = Path(base if len(base) <= _SOCKET_LIMIT or not sockets else "/tmp")
    for left in place.glob("pds-*"):
        with suppress(OSError):
            if is_orphan((left / OWNER).read_text()):
                remove_folder(left)
    folder = Path(tempfile.mkdtemp(prefix="pds-", dir=place))
    (folder / OWNER).write_text(draft_name())
    return folder
