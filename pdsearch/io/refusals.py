"""Errors of a storage, temporary or for the user to correct, and messages while it does not answer."""

import errno
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pdsearch.errors import ConfigError, PdsearchError, StorageError, StorageFullError


class StorageAwayError(StorageError):
    """The storage did not answer, even after retries."""


class StorageDeniedError(StorageError):
    """The storage denies access, and waiting would not change that."""


_NO_BUCKET = re.compile(
    r"NO_SUCH_BUCKET|Bucket '[^']*' not found|bucket does not exist|ContainerNotFound", re.IGNORECASE
)
_NO_RIGHT = re.compile(
    r"ACCESS_DENIED|HTTP status 40[13]|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN_ID"
    r"|UNRECOGNIZED_CLIENT|MISSING_AUTHENTICATION_TOKEN|EXPIRED_TOKEN|anonymous|Unauthenticated|PermissionDenied",
    re.IGNORECASE,
)
_NO_ENDPOINT = re.compile(
    r"NETWORK_CONNECTION|curlCode|resolve host|Connection refused|timed? ?out", re.IGNORECASE
)


def judged(error: Exception, where: str) -> PdsearchError:
    """Classify a file system's error; only a StorageAwayError may pass, so that the call is worth another try.

    Args:
        error: From pyarrow.fs: an OSError, or a ValueError for options it does not know.
        where: The URL.
    """
    said = " ".join(str(error).split())  # PdsearchError removes secrets from its text.
    if isinstance(error, ValueError):
        hint = "see docs/storage.md for the options"
        return ConfigError(f"not understood: {said}", where=where, hint=hint)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, then run the same command again"
        return StorageFullError("no space is left on this machine", where=error.filename or where, hint=hint)
    if _NO_BUCKET.search(said):
        hint = "create the bucket, or mend its name in storage:"
        return StorageDeniedError("there is no such bucket", where=where, hint=hint)
    if _NO_RIGHT.search(said):
        hint = "check the credentials (AWS_ACCESS_KEY_ID, profile, role) and the bucket's policy"
        return StorageDeniedError(f"no permission: {said}", where=where, hint=hint)
    look = "check endpoint_override and the network" if _NO_ENDPOINT.search(said) else "mend the storage"
    hint = f"{look}, then run the same command again"
    return StorageAwayError(f"the storage does not answer: {said}", where=where, hint=hint)


_PATIENCE_S = 3.0
"""Shorter outages are not reported: an object storage fails now and then."""


class Waiting:
    """Whether this process's storage answers, as reported by any of its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False
        self.say: Callable[[str], None] | None = None

    def refused(self, began: float, where: str) -> None:
        """Record that a call got no answer.

        Args:
            began: When the call was made, by the monotonic clock.
            where: The storage that was called.
        """
        with self._lock:
            self._since = began if self._since is None else min(self._since, began)
            if self.say is None or self._told or time.monotonic() - self._since < _PATIENCE_S:
                return
            self._told, say = True, self.say
        say(f"waiting for the storage: it does not answer ({where})")

    def answered(self) -> None:
        """Record that a call got an answer."""
        if self._since is None:  # The usual case, without a lock.
            return
        with self._lock:
            since, told, say = self._since, self._told, self.say
            self._since, self._told = None, False
        if told and say is not None and since is not None:
            say(f"the storage answers again, after {time.monotonic() - since:.0f} s")


waiting = Waiting()
"""The instance of this process. In workers it prints nothing: the driver, which renews its lease, notices as well."""


@contextmanager
def reporting_to(say: Callable[[str], None]) -> Iterator[None]:
    """Report to the user through `say` while the block runs."""
    waiting.say = say
    try:
        yield
    finally:
        waiting.say = None
