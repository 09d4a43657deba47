"""Lease in an object storage without exclusive creation: best effort, the last writer holds it.

A process that finds no live owner writes its own name and reads it back: of two writers, the last one continues. If the
second writes only after the first has read back, there are two owners until the first one's next heartbeat. Building an
entry twice only costs time. A driver that has lost its study is stopped before it writes again.
"""

import os
import threading
import time
from contextlib import suppress

from pdsearch.artifacts.leases.file_lease import Watch, parse, record
from pdsearch.artifacts.leases.owner import Owner, is_dead, this_owner
from pdsearch.errors import StorageError
from pdsearch.io import Remote
from pdsearch.io.objects import objects_at


class ObjectLease:
    """One lease object. Invariant: while `held`, the object named this process when it was last read.

    Args:
        place: The object.
        beat_s: Seconds between two heartbeats while it is held.
        window_s: Seconds without a heartbeat after which an owner counts as dead; much longer than `beat_s`,
            since a storage may be slow.
        settle_s: Seconds between writing this process's name and reading it back.
    """

    def __init__(
        self, place: Remote, *, beat_s: float = 10.0, window_s: float = 60.0, settle_s: float = 0.0
    ) -> None:
        self.place, self.beat_s, self.settle_s = place, beat_s, settle_s
        self._objects = objects_at(place)
        self._watch = Watch(window_s)
        self._owner: Owner | None = None
        self._pid = 0
        self._stop = threading.Event()
        self._beating: threading.Thread | None = None

    @property
    def held(self) -> bool:
        """Whether this process held the lease at its last heartbeat."""
        return self._owner is not None and self._pid == os.getpid()

    def owner(self) -> Owner | None:
        """Return the lease's owner, or None if it is free or cannot be parsed."""
        return parse(self._read())

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its owner is dead; waits for no owner. Call it repeatedly to wait.

        Raises:
            StorageError: The storage cannot be read or written.
        """
        try:
            content = self._read()
            if content and not self._watch.gone(content):
                return False
            owner = this_owner()
            self._objects.put(self.place.path, record(owner, 0))
            time.sleep(self.settle_s)
            if parse(self._read()) != owner:
                return False
        except StorageError:
            self._watch.forget()
            raise
        self._owner, self._pid, self._stop = owner, os.getpid(), threading.Event()
        self._beating = threading.Thread(target=self._beat, args=(owner, self._stop), daemon=True)
        self._beating.start()
        return True

    def moved(self) -> bool:
        """Return whether the counter changed since `try_acquire` first saw this owner, so that it is alive."""
        return self._watch.moved(self._read())

    def release(self) -> None:
        """Release the lease; does nothing if it is not held."""
        self._stop.set()
        if not self.held:
            return
        if self._beating is not None:
            self._beating.join()
        owner, self._owner = self._owner, None
        hasty = self._objects.hasty()  # A lease that is not released is taken over later.
        with suppress(StorageError):
            if parse(hasty.get(self.place.path) or b"") == owner:
                hasty.delete(self.place.path)

    def _read(self) -> bytes:
        return self._objects.get(self.place.path) or b""

    def _beat(self, owner: Owner, stop: threading.Event) -> None:
        counter, hasty = 0, self._objects.hasty()
        while not stop.wait(self.beat_s):
            counter += 1
            # A failed heartbeat is skipped: if the storage is down, no other process can observe the gap.
            with suppress(StorageError):
                if parse(hasty.get(self.place.path) or b"") != owner:
                    self._owner = None
                    return
                hasty.put(self.place.path, record(owner, counter))


def discard_object_if_dead(place: Remote) -> bool:
    """Remove a lease whose owner ran on this machine and has ended; return whether it was removed."""
    objects = objects_at(place)
    owner = parse(objects.get(place.path) or b"")
    return owner is not None and is_dead(owner) and objects.delete(place.path)
