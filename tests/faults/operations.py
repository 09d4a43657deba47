"""Failures at the n-th storage operation, and what a process that died there would have left, by Python's audit events.

An audit hook sees every open, rename, link, removal and listing of the process, whoever asks for it; fsync and pwrite
have no event and are wrapped. A hook cannot be taken out again, so all of this happens in forked children.
"""

import errno
import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pdsearch.errors import PdsearchError

FAIL, FULL = "fail", "full"

_DEFECT = 70
_CHANGES = {
    "os.chmod",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
}
_EVENTS = {"open", "os.listdir", "os.scandir", *_CHANGES}
_TAKE_SPACE = {"os.link", "os.mkdir", "os.symlink"}


class Operations:
    """Hears of every operation below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.count = 0

    def install(self) -> None:
        """Watch this process from now on."""
        sys.addaudithook(self._hear)
        for name in ("fsync", "pwrite"):
            setattr(os, name, self._wrapped(getattr(os, name)))

    def before(self, path: str, *, changes: bool, takes_space: bool, written: bool) -> None:
        """Do something before an operation.

        Args:
            path: What it is on.
            changes: Whether a process that dies after it, and not before, may have left something else.
            takes_space: Whether a full disk refuses it.
            written: Whether it writes to a file that is open, or waits until that is written.
        """
        raise NotImplementedError

    def told(self) -> Any:
        """Return what the parent is told of it, as JSON."""
        return self.count

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _EVENTS and any(self._ours(argument) for argument in args[:2]):
            writes = event == "open" and _writes(args[2])
            self._begin(
                os.fsdecode(args[0]),
                changes=writes or event in _CHANGES,
                takes_space=writes or event in _TAKE_SPACE,
                written=False,
            )

    def _wrapped(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: int, *args: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if self._ours(path):
                self._begin(path, changes=operation.__name__ == "pwrite", takes_space=True, written=True)
            return operation(descriptor, *args)

        return call

    def _begin(self, path: str, **about: bool) -> None:
        self.count += 1
        self.before(path, **about)

    def _ours(self, argument: Any) -> bool:
        text = os.fsdecode(argument) if isinstance(argument, str | bytes | os.PathLike) else ""
        return text.startswith(self.root)


class Hazard(Operations):
    """Strikes: FAIL raises EIO at the operation of a number; FULL raises ENOSPC from there on, for what takes space."""

    def __init__(self, root: Path, at: int, mode: str) -> None:
        super().__init__(root)
        self.at, self.mode = at, mode

    def before(self, path: str, *, changes: bool, takes_space: bool, written: bool) -> None:  # noqa: ARG002
        """Strike."""
        if self.mode == FULL and self.at <= self.count and takes_space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.mode == FAIL and self.at == self.count:
            raise OSError(errno.EIO, "the disk does not answer")


class Recorder(Operations):
    """Copies the folder before operations: what a process that died then would have left.

    Between two copies there was a change. Before a sync there is a second one, in which half of the file is lost, as if
    the machine had died.

    Of its copies `00012` is what was there before operation 12, `00012-torn` that with half of a file.
    """

    def __init__(self, root: Path, copies: Path) -> None:
        super().__init__(root)
        self.copies = copies
        self.kinds: dict[str, list[int]] = {}
        self._changed, self._copying = True, False

    def before(self, path: str, *, changes: bool, takes_space: bool, written: bool) -> None:  # noqa: ARG002
        """Copy the folder if it has changed, and note what kind of operation this is."""
        self._copying = True
        if self._changed:
            self._copy("")
        if written and os.path.isfile(path):
            torn = self._copy("-torn") / Path(path).relative_to(self.root)
            size = os.path.getsize(torn)
            os.truncate(torn, max(0, size - 1 - size % 37))
        self._copying, self._changed = False, changes
        name = re.sub(r"[0-9a-f]*\d[0-9a-f]*", "N", os.path.basename(path))
        self.kinds.setdefault(f"{name} {_stack()}", []).append(self.count)

    def told(self) -> Any:
        """Return the numbers of all operations, by kind: what they are on, and the lines of code that led to them."""
        return list(self.kinds.values())

    def _begin(self, path: str, **about: bool) -> None:
        if not self._copying:
            super()._begin(path, **about)

    def _copy(self, suffix: str) -> Path:
        copy = self.copies / f"{self.count:05}{suffix}"
        if os.path.isdir(self.root):
            shutil.copytree(self.root, copy, symlinks=True)
        return copy


def in_child(action: Callable[[], object], operations: Operations) -> tuple[int, Any]:
    """Do something in a forked child that is watched; return its exit code, and what it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _live(action, operations, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = json.loads(pipe.read())
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), told


def _live(action: Callable[[], object], operations: Operations, writing: int) -> None:
    code = _DEFECT
    try:
        operations.install()
        action()
        code = 0
    except PdsearchError as error:
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        os.write(writing, json.dumps(operations.told()).encode())
        os._exit(code)


def _stack() -> list[tuple[str, int]]:
    """Return the lines of code that this thread is in."""
    frame, found = sys._getframe(1), []
    while frame.f_back is not None:
        frame = frame.f_back
        found.append((frame.f_code.co_qualname, frame.f_lineno))
    return found


def _writes(flags: Any) -> bool:
    return bool(int(flags) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND))
