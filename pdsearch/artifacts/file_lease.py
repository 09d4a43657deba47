"""Lease in a file whose owner keeps incrementing a counter (heartbeat).

A lease saves work and keeps two drivers from running one study; the correctness of artifacts never depends on it. No
clocks are compared between machines: a waiting process times the counter by its own monotonic clock.
"""

import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pdsearch.artifacts.owner import Owner, draft_name, is_dead, this_owner
from pdsearch.io.durable import read_regular, storage_errors


def record(owner: Owner, counter: int) -> bytes:
    """Return the bytes of a lease file."""
    # Fixed width, so that a later record always overwrites an earlier one completely.
    return json.dumps({**asdict(owner), "counter": f"{counter:012d}"}, sort_keys=True).encode() + b"\n"


def parse_owner(content: bytes) -> Owner | None:
    """Return the owner named in a lease file, or None if it cannot be read."""
    try:
        value = json.loads(content)
        return Owner(value["host"], value["machine"], int(value["pid"]), value["born"], value["uuid"])
    except (ValueError, TypeError, KeyError):
        return None


def read_lease(path: Path) -> bytes:
    """Return the bytes of a lease file, empty if there is none."""
    try:
        # An existing lease file counts even if it is empty because its owner died before writing.
        return read_regular(path) or b"\n"
    except FileNotFoundError:
        return b""


def claim(path: Path, record: bytes) -> int | None:
    """Create a lease file and return it open, or None if the path is taken.

    The file is linked in place when it is written: one that is empty, as its owner was killed before it wrote, names
    nobody who could be seen to be dead, and would hold up its successor for the whole window.
    """
    draft = path.with_name(f".{draft_name()}")
    try:
        descriptor = _create(draft, record)
        try:
            os.link(draft, path)
            return descriptor
        except OSError as error:
            os.close(descriptor)
            # Without hard links: exclusive creation is atomic too, but leaves the file empty for a moment.
            return None if isinstance(error, FileExistsError) else _create(path, record)
    except FileExistsError:
        return None
    finally:
        draft.unlink(missing_ok=True)


def _create(path: Path, record: bytes) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.pwrite(descriptor, record, 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def remove_lease(path: Path, content: bytes) -> None:
    """Remove a lease file if it still names the owner that `content` names."""
    aside = path.with_name(f".{draft_name()}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    # Another process may have taken over between the check and the rename: restore its lease.
    if parse_owner(read_lease(aside)) != parse_owner(content):
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)


class Watch:
    """Observations of a lease by one waiting process, timed by its own clock, so that no clocks are compared.

    Args:
        window_s: Seconds without a heartbeat after which an owner counts as dead, wherever it ran.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._seen: tuple[bytes, float] | None = None

    def gone(self, content: bytes) -> bool:
        """Take note of the lease's current bytes and return whether its owner is dead."""
        owner = parse_owner(content)
        if owner is not None and is_dead(owner):
            return True
        if self._seen is None or self._seen[0] != content:
            self._seen = (content, time.monotonic())
        return time.monotonic() - self._seen[1] >= self.window_s

    def moved(self, content: bytes) -> bool:
        """Return whether the lease has changed since its owner was first seen, so that the owner is alive."""
        return self._seen is not None and content != self._seen[0]

    def forget(self) -> None:
        """Restart the observation, after a time in which the storage could not be accessed."""
        self._seen = None


class Lease:
    """One lease file. Invariant: `held` is True only while the file at the path is the one this process put there.

    Args:
        path: The lease file.
        beat_s: Seconds between two heartbeats while it is held.
        window_s: Seconds without a heartbeat after which an owner counts as dead, wherever it ran.
    """

    def __init__(self, path: Path, *, beat_s: float = 5.0, window_s: float = 30.0) -> None:
        self.path, self.beat_s, self.window_s = path, beat_s, window_s
        self._file: int | None = None
        self._pid = 0
        self._stop = threading.Event()
        self._beating: threading.Thread | None = None
        self._watch = Watch(window_s)

    @property
    def held(self) -> bool:
        """Whether this process holds the lease now; also False after a takeover by another one."""
        if self._file is None or self._pid != os.getpid():
            return False
        return _inode(self.path) == os.fstat(self._file).st_ino

    def owner(self) -> Owner | None:
        """Return the lease's owner, or None if it is free or the file cannot be read."""
        return parse_owner(read_lease(self.path))

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its owner is dead; does not block. Call it repeatedly to wait.

        Raises:
            StorageError: The storage cannot be written.
        """
        with storage_errors(self.path):
            content = read_lease(self.path)
            if content and not self._watch.gone(content):
                return False
            if content:
                remove_lease(self.path, content)
            return self._create()

    def moved(self) -> bool:
        """Return whether the counter changed since `try_acquire` first saw this owner, so that it is alive."""
        return self._watch.moved(read_lease(self.path))

    def release(self) -> None:
        """Release the lease; does nothing if it is not held."""
        self._stop.set()
        if self._file is None:
            return
        descriptor, self._file = self._file, None
        if self._beating is not None:
            self._beating.join()
        if self._pid == os.getpid():
            with suppress(OSError):
                remove_lease(self.path, os.pread(descriptor, 4096, 0))
        os.close(descriptor)

    def _create(self) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        owner = this_owner()
        descriptor = claim(self.path, record(owner, 0))
        if descriptor is None:
            return False
        self._file, self._pid, self._stop = descriptor, os.getpid(), threading.Event()
        self._beating = threading.Thread(target=self._beat, args=(descriptor, owner, self._stop), daemon=True)
        self._beating.start()
        return True

    def _beat(self, descriptor: int, owner: Owner, stop: threading.Event) -> None:
        counter = 0
        while not stop.wait(self.beat_s):
            counter += 1
            # Written through the open descriptor: after a takeover this changes the old file, not the new one.
            with suppress(OSError):
                os.pwrite(descriptor, record(owner, counter), 0)
                os.fsync(descriptor)


def discard_if_dead(path: Path) -> bool:
    """Remove a lease whose owner ran on this machine and has ended; return whether it was removed."""
    with storage_errors(path):
        content = read_lease(path)
        owner = parse_owner(content)
        if owner is None or not is_dead(owner):
            return False
        remove_lease(path, content)
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
