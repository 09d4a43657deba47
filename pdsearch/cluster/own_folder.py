"""A worker's own working directory, which exists as long as the worker.

Ray owns the directory that `ray job submit --working-dir` sends: where several nodes share a machine, one that joins
removes and unpacks it again while workers of the others use it. A process whose directory is gone can neither get its
path (Tune does so before each job) nor import anything more from it.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pdsearch.cluster.connection.supervisor import remove_folder
from pdsearch.cluster.connection.temporary import make_folder

_PATIENCE_S, _PAUSE_S = 10.0, 0.2


class OwnFolder:
    """Keeps this process in a directory that exists, with what it imports from there.

    Args:
        sent: The current directory is Ray's, with what a job was sent with: it is copied, by hard links where possible.

    Raises:
        OSError: The directory that was sent does not exist, or keeps changing.
    """

    def __init__(self, *, sent: bool) -> None:
        self._made: Path | None = None
        if sent:
            here, target = _here(), self._make() / "sent"
            try:
                _copy(here, target)
            except OSError:
                self.close()
                raise
            _point(here, target)
            os.chdir(target)
        elif _is_there():
            here = Path.cwd()
            _point(here, here)

    def stay(self) -> None:
        """Change to an empty directory if the current one is gone."""
        if not _is_there():
            os.chdir(self._make())

    def close(self) -> None:
        """Remove the folder that was made; that of a killed worker is removed by another one on this machine."""
        if self._made is not None:
            remove_folder(self._made)

    def _make(self) -> Path:
        if self._made is None or not self._made.exists():
            self._made = make_folder()
        return self._made


def _is_there() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _here() -> Path:
    """Return the current directory, or its former path if it was removed: it is being unpacked there again."""
    return Path.cwd() if _is_there() else Path(os.environ["PWD"])


def _copy(source: Path, target: Path) -> None:
    """Copy a folder that may be removed and unpacked again meanwhile, until it is the same before and after."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            before = [*_listed(source)]
            shutil.copytree(source, target, symlinks=True, copy_function=_link)
            if before == [*_listed(source)]:
                return
            failure = OSError(f"{source} is being changed")
        except OSError as error:  # shutil.Error too: a file vanished while it was copied.
            failure = error
        shutil.rmtree(target, ignore_errors=True)
        if time.monotonic() >= until:
            raise failure
        time.sleep(_PAUSE_S)


def _listed(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, inode and size of everything in a folder, to detect changes: a folder made anew has a new inode."""
    yield ".", folder.stat().st_ino, 0
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        yield str(path), found.st_ino, found.st_size


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # Another file system, or not this user's.
        shutil.copy2(source, target)
    return target


def _point(here: Path, target: Path) -> None:
    """Redirect Python's imports from one folder to another; relative entries become absolute."""
    sys.path[:] = [_moved(entry, here, target) for entry in sys.path]
    if "PYTHONPATH" in os.environ:  # For child processes.
        entries = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(_moved(entry, here, target) for entry in entries)
    for module in [*sys.modules.values()]:
        places = getattr(module, "__path__", None)
        if isinstance(places, list):
            places[:] = [_moved(place, here, target) for place in places]


def _moved(entry: str, here: Path, target: Path) -> str:
    path = here / entry
    return str(target / path.relative_to(here)) if path.is_relative_to(here) else entry
