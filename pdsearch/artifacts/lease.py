"""Who may build an entry, or drive a study, now? A file with an owner and a counter it keeps moving.

A lease saves work and keeps drivers apart; the correctness of artifacts never depends on it. No clocks are
compared between machines: whoever waits watches the counter on its own monotonic clock.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

from pdsearch.artifacts.lease_file import claim, parse, read, record, remove
from pdsearch.artifacts.owner import Owner, is_dead, this_owner
from pdsearch.artifacts.watch import Watch
from pdsearch.durable import storage_errors

__all__ = ["Lease", "discard_if_dead"]


class Lease:
    """One lease file. Invariant: `held` is True only while the file at the path is the one we linked there.

    Args:
        path: The lease file.
        beat_s: Seconds between two movements of the counter while it is held.
        window_s: Seconds without movement after which an owner we know nothing of counts as gone.
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
        """Whether this process holds the lease now; False also after another took it over."""
        if self._file is None or self._pid != os.getpid():
            return False
        return _inode(self.path) == os.fstat(self._file).st_ino

    def owner(self) -> Owner | None:
        """Return who holds the lease, or None if nobody does or the file cannot be read."""
        return parse(read(self.path))

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its owner is gone; never waits. Ask again and again to wait.

        Raises:
            StorageError: The storage cannot be written.
        """
        with storage_errors(self.path):
            content = read(self.path)
            if content and not self._watch.gone(content):
                return False
            if content:
                remove(self.path, content)
            return self._create()

    def moved(self) -> bool:
        """Return True when the counter changed since `try_acquire` first saw this owner: it is alive."""
        return self._watch.moved(read(self.path))

    def release(self) -> None:
        """Give the lease back; nothing happens if it is not held."""
        self._stop.set()
        if self._file is None:
            return
        descriptor, self._file = self._file, None
        if self._beating is not None:
            self._beating.join()
        if self._pid == os.getpid():
            with suppress(OSError):
                remove(self.path, os.pread(descriptor, 4096, 0))
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
            # Written through the open file: after a takeover this reaches the old file, not the new one.
            with suppress(OSError):
                os.pwrite(descriptor, record(owner, counter), 0)
                os.fsync(descriptor)


def discard_if_dead(path: Path) -> bool:
    """Remove a lease whose owner ran on this machine and has ended; returns whether it was removed."""
    with storage_errors(path):
        content = read(path)
        owner = parse(content)
        if owner is None or not is_dead(owner):
            return False
        remove(path, content)
    return True


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None
