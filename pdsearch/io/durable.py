"""Durable writes to a disk: all or nothing after a crash, and what a refusal of the disk means."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from pdsearch.errors import PdsearchError, StorageError, StorageFullError

__all__ = [
    "PAUSES_S",
    "UnfitFileError",
    "check_regular",
    "open_regular",
    "read_regular",
    "storage_errors",
    "sync_file",
    "sync_folder",
    "write_new",
]

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 29.0)
"""Pauses between the tries of something that was there and is gone: a minute in all."""

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("no space left on device", "disk quota exceeded")
_HINTS = {
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "make the folder writable, or choose another storage"
    ),
    errno.ENOTDIR: "a file lies where a folder is needed: move it away, or choose another storage",
    errno.ENAMETOOLONG: "choose a shorter name or folder",
}
_RUST = re.compile(r"\(os error (\d+)\)")
"""How a library written in Rust (safetensors) ends what the system told it."""


@contextmanager
def storage_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the operating system refuses inside the block into errors a person can act on.

    Args:
        path: Named in the message where the refusal itself names no file.

    Raises:
        StorageFullError: No space or quota is left, also where a library wraps it in an error of its own.
        StorageError: Any other OSError, likewise.
    """
    try:
        yield
    except PdsearchError:
        raise
    except OSError as error:
        raise _translated(error, os.fspath(error.filename or path)) from error
    except Exception as error:
        number = _RUST.search(str(error))
        if number is not None:
            told = OSError(int(number[1]), os.strerror(int(number[1])))
            raise _translated(told, os.fspath(path)) from error
        if any(words in str(error).lower() for words in _FULL_WORDS):
            raise _full(os.fspath(path)) from error
        raise


def _translated(error: OSError, where: str) -> StorageError:
    if error.errno in _FULL:
        return _full(where)
    hint = None if error.errno is None else _HINTS.get(error.errno)
    return StorageError(f"storage refused: {error.strerror or error}", where=where, hint=hint)


def _full(where: str) -> StorageFullError:
    return StorageFullError(
        "no space is left", where=where, hint="free some space, then run the same command again"
    )


class UnfitFileError(StorageError):
    """What lies at a path is no regular file, or larger than a file of its kind can be."""


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse what is no regular file before it is opened, by whatever library.

    Raises:
        UnfitFileError: It is a FIFO, a device or a socket.
        IsADirectoryError: It is a folder.
        OSError: It cannot be looked at.
    """
    _refuse_irregular(path, os.stat(path).st_mode)  # Before it is opened: opening a device may do something.


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file to read it; never waits for a FIFO's writer, and never reads a device.

    Raises:
        UnfitFileError: As of `check_regular`, like the others.
    """
    check_regular(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _refuse_irregular(path, os.fstat(descriptor).st_mode)
    except (OSError, UnfitFileError):
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | os.PathLike[str], most: int | None = None) -> bytes:
    """Return the bytes of a regular file, or of a link to one.

    Args:
        path: Of the file.
        most: More bytes than such a file can have; None reads any number.

    Raises:
        UnfitFileError: It is no regular file, or larger than that.
        IsADirectoryError: It is a folder.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise UnfitFileError(
            f"is larger than {most / 2**20:.0f} MiB: no file of its kind", where=os.fspath(path)
        )
    return content


def _refuse_irregular(path: str | os.PathLike[str], mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UnfitFileError(f"is {kind}, not a file", where=os.fspath(path), hint="move it away")


def write_new(path: Path, content: bytes) -> None:
    """Create a file that must not exist, and return when its content is on the disk.

    Raises:
        FileExistsError: The path is taken.
    """
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Return when a file's content is on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Return when a folder's list of names is on the disk; nothing to do where folders cannot be synced."""
    _sync(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE mounts know no fsync of a folder; nothing safer exists there.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
