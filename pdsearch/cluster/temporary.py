"""The folder of a local Ray's temporary files: made for a session, and that of a killed one removed by the next."""

import tempfile
from contextlib import suppress
from pathlib import Path

from pdsearch.artifacts import draft_name, is_orphan
from pdsearch.cluster.supervisor import OWNER, remove_folder

__all__ = ["make_folder", "remove_folder"]

_SOCKET_LIMIT = 40  # Ray's sockets lie about 60 characters deeper, and a socket's path ends at 107.


def make_folder() -> Path:
    """Make a folder for this session, and remove those of drivers that were killed here."""
    base = tempfile.gettempdir()
    place = Path(base if len(base) <= _SOCKET_LIMIT else "/tmp")
    for left in place.glob("pds-*"):
        with suppress(OSError):
            if is_orphan((left / OWNER).read_text()):
                remove_folder(left)
    folder = Path(tempfile.mkdtemp(prefix="pds-", dir=place))
    (folder / OWNER).write_text(draft_name())
    return folder
