"""Durable, atomic writes to a disk, safe reads, and the translation of the system's errors."""

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from pdsearch.errors import ConfigError, PdsearchError, StorageError, StorageFullError

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 29.0)
"""Pauses between retries after a storage error: a minute in all."""

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
"""End of a system error's message as formatted by a library written in Rust (safetensors)."""


@contextmanager
def storage_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert the operating system's errors inside the block to errors meant for the user.

    Args:
        path: Named in the message where the error itself names no file.

    Raises:
        StorageFullError: No space or quota is left, also where a library wraps the error in one of its own.
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


def from_home(path: str | os.PathLike[str]) -> Path:
    """Return a path whose leading `~` or `~user` is replaced by that user's home.

    Raises:
        ConfigError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = Path(path).parts[0]
        hint = "write the path from /, or ./~NAME for a folder of that name"
        raise ConfigError(f"{user} is no user's home here", where=os.fspath(path), hint=hint) from error


class UnfitFileError(StorageError):
    """A path is no regular file, or the file is larger than one of its kind can be."""


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse anything but a regular file, before some library opens it.

    Raises:
        UnfitFileError: It is a FIFO, a device or a socket, or its name holds a null byte.
        IsADirectoryError: It is a folder.
        OSError: It cannot be examined.
    """
    # Before opening, because opening a device may have side effects.
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:
        raise UnfitFileError("is no name of a file", where=ascii(os.fspath(path))) from error
    _refuse_irregular(path, mode)


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file for reading; never blocks on a FIFO, and never reads a device.

    Raises:
        UnfitFileError: As `check_regular`; the other errors as well.
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
        path: Path of the file.
        most: Size limit for a file of its kind, in bytes; None for no limit.

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


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file that the user named, text in UTF-8: whole, replacing what was there, or not at all.

    A link is followed, and a device or a pipe, such as /dev/stdout, is written to.

    Raises:
        StorageError: It cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with storage_errors(path):
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        target = path.resolve()
        draft = target.with_name(f".{uuid.uuid4().hex[:8]}.tmp")
        try:
            draft.write_bytes(data)
            draft.replace(target)
        except OSError as error:
            error.filename = os.fspath(path)  # Nobody named the draft.
            raise
        finally:
            draft.unlink(missing_ok=True)


def write_new(path: Path, content: bytes) -> None:
    """Create a file that must not exist, and sync its content to the disk.

    Raises:
        FileExistsError: The path is taken.
    """
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Sync a file's content to the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Sync a folder's list of names to the disk; does nothing where folders cannot be synced."""
    _sync(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE mounts do not support fsync of a folder, and offer nothing safer.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF) or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
