"""Regular files of data sets: their hashes, and what is said of those that cannot be read."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pdsearch.errors import DataError, StorageError
from pdsearch.io.durable import open_regular


@contextmanager
def reading(where: str | Path, hint: str) -> Iterator[None]:
    """Say of a file that cannot be read in the block, or is no regular one, where it is and what to do.

    Raises:
        DataError: It cannot be read.
    """
    try:
        yield
    except StorageError as error:
        raise DataError(error.what, where=str(where), hint=hint) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", where=str(where), hint=hint) from error


def digest_of(path: Path, hint: str) -> bytes:
    """Return the SHA-256 of a file, 32 bytes.

    Raises:
        DataError: It cannot be read.
    """
    with reading(path, hint), open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").digest()
