"""Supervisor process of a local Ray: starts it in its own session and ends it when the driver ends, in whatever way.

It runs as a script on the standard library alone, and so takes 10 MB. Signals that end a driver are blocked in it and
in all that it starts: sent to every process of a job (Slurm, systemd), they are meant for the driver, which drains.

Its standard input is closed when the driver ends; as a process that the driver forked may hold it open, the parent's
process id is watched, too. Processes that Ray leaves behind become its children, for it is their subreaper.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

BLOCKED = frozenset(
    (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
)
"""Signals that are blocked in Ray's processes; the caller blocks them before it starts this process."""

LOG = "start.log"
"""File in the folder with Ray's output while it started."""

OWNER = "owner"
"""File in the folder that names the process that owns it."""

_LOOK_EVERY_S = 1.0
_END_WITHIN_S, _PAUSE_S = 10.0, 0.05
_TRIES, _TRY_AGAIN_S = 10, 0.1
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>


def main(words: list[str]) -> None:
    """Start a command, wait for the driver's end, end all that was started, remove the folder.

    Args:
        words: The folder, the driver's process id, and the command.
    """
    folder, driver, command = Path(words[0]), int(words[1]), words[2:]
    with suppress(OSError, AttributeError):  # Without it, what Ray leaves is found by its session alone.
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    with (folder / LOG).open("wb") as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # So that the driver reads end of file when the command ends.
    while os.getppid() == driver and not select.select([0], [], [], _LOOK_EVERY_S)[0]:
        _reap()
    end_session(os.getsid(0))
    remove_folder(folder)


def end_session(session: int) -> None:
    """Kill all processes of a session and their descendants, except this process.

    Args:
        session: Its leader's process id.
    """
    until = time.monotonic() + _END_WITHIN_S
    while (members := _members(session)) and time.monotonic() < until:
        for process in members:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE_S)
        if os.getsid(0) == session:
            _reap()


def remove_folder(folder: Path) -> None:
    """Remove a session's folder, the owner file last, so that the next run can remove what this one could not.

    It takes several attempts, since Ray's agents may write files meanwhile.
    """
    owner = folder / OWNER
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
        time.sleep(_TRY_AGAIN_S)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _members(session: int) -> set[int]:
    """Return the living processes of a session, and their descendants in sessions of their own."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for process, state, parent, its_session in _processes():
        if state in "ZX":
            continue
        parents[process] = parent
        if its_session == session:
            found.add(process)
    grown = True
    while grown:
        more = {process for process, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found - {os.getpid()}


def _processes() -> Iterator[tuple[int, str, int, int]]:
    """Yield id, state, parent and session of every process, from /proc."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                # The process name, which ends at the last parenthesis, may contain anything.
                fields = Path("/proc", name, "stat").read_text(errors="replace").rpartition(")")[2].split()
                yield int(name), fields[0], int(fields[1]), int(fields[3])


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main(sys.argv[1:])
