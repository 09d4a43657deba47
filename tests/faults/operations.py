"""Injection of a failure, or of the process's death, at the n-th storage operation, by Python's audit events.

An audit hook sees every open, rename, link, removal and listing of the process, whoever asks for it; fsync and pwrite
have no event and are wrapped. A hook cannot be taken out again, so all of this happens in forked children.
"""

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pdsearch.errors import PdsearchError

FAIL, DIE, TEAR, FULL = "fail", "die", "tear", "full"
DIED = 9
"""Exit code of a child that died at its operation."""

_DEFECT = 70
_EVENTS = {
    "open",
    "os.chmod",
    "os.link",
    "os.listdir",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.scandir",
    "os.symlink",
    "os.truncate",
}
_TAKE_SPACE = {"os.link", "os.mkdir", "os.symlink"}


class Hazard:
    """Counts operations below a folder and strikes at one of them.

    Args:
        root: The folder.
        at: Number of the operation, from 1; 0 never strikes.
        mode: FAIL raises EIO once, DIE ends the process before the operation, TEAR after half of a write; FULL raises
            ENOSPC from there on, for whatever takes space.
    """

    def __init__(self, root: Path, at: int, mode: str) -> None:
        self.root, self.at, self.mode = str(root), at, mode
        self.count = 0
        self.syncs: list[int] = []

    def install(self) -> None:
        """Watch this process from now on."""
        sys.addaudithook(self._hear)
        for name in ("fsync", "pwrite"):
            setattr(os, name, self._wrapped(getattr(os, name)))

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _EVENTS and any(self._ours(argument) for argument in args[:2]):
            self._strike(takes_space=event in _TAKE_SPACE or (event == "open" and _writes(args[2])))

    def _wrapped(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *args: Any) -> Any:
            if self._ours(_path(descriptor)):
                self.syncs.append(self.count + 1)
                self._strike(descriptor, takes_space=True)
            return operation(descriptor, *args)

        return call

    def _strike(self, descriptor: int | None = None, *, takes_space: bool) -> None:
        self.count += 1
        if self.mode == FULL and 0 < self.at <= self.count and takes_space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.mode == FULL or self.count != self.at:
            return
        if self.mode == FAIL:
            raise OSError(errno.EIO, "the disk does not answer")
        if self.mode == TEAR and descriptor is not None:
            path = _path(descriptor)
            if os.path.isfile(path):
                size = os.path.getsize(path)
                os.truncate(path, max(0, size - 1 - size % 37))
        os._exit(DIED)

    def _ours(self, argument: Any) -> bool:
        text = os.fsdecode(argument) if isinstance(argument, str | bytes | os.PathLike) else ""
        return text.startswith(self.root)


def in_child(action: Callable[[], object], hazard: Hazard) -> tuple[int, int, list[int]]:
    """Do something in a forked child under a hazard.

    Returns:
        Its exit code, how many operations it made, and which of them were syncs; a child that died tells nothing.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _live(action, hazard, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = json.loads(pipe.read() or b"[0, []]")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said[0], said[1]


def _live(action: Callable[[], object], hazard: Hazard, writing: int) -> None:
    code = _DEFECT
    try:
        hazard.install()
        action()
        code = 0
    except PdsearchError as error:
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        os.write(writing, json.dumps([hazard.count, hazard.syncs]).encode())
        os._exit(code)


def _writes(flags: Any) -> bool:
    return bool(int(flags) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND))


def _path(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")
