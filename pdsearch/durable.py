"""How do bytes reach the disk so that a crash leaves all or nothing, and how do its refusals read?"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pdsearch.errors import PdsearchError, StorageError, StorageFullError

__all__ = ["storage_errors", "sync_file", "sync_folder", "write_new"]

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
