"""A lease in an object storage, where nothing can be created exclusively: best effort, the last writer holds it.

Whoever finds no living owner writes its own name and reads it back: of two that wrote, the one who wrote last goes on.
One who writes only after the other has read back makes two owners for a while; the first one sees it at its next beat.
Building something twice costs time and nothing else. A driver that has lost its study is told before it writes on.
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

__all__ = ["ObjectLease", "discard_object_if_dead"]


class ObjectLease:
    """One lease object. Invariant: while `held`, the object named us when it was last read.

    Args:
        place: The object.
        beat_s: Seconds between two movements of the counter while it is held.
        window_s: Seconds without movement after which an owner we know nothing of counts as gone; long beside a beat,
            for a storage may be slow.
        settle_s: Seconds between writing our name and reading it back.
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
        """Whether this process holds the lease, as far as it knew at its last beat."""
        return self._owner is not None and self._pid == os.getpid()

    def owner(self) -> Owner | None:
        """Return who holds the lease, or None if nobody does or it cannot be understood."""
        return parse(self._read())

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its owner is gone; waits for no owner. Ask again and again to wait.

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
        """Return True when the counter changed since `try_acquire` first saw this owner: it is alive."""
        return self._watch.moved(self._read())

    def release(self) -> None:
        """Give the lease back; nothing happens if it is not held."""
        self._stop.set()
        if not self.held:
            return
        if self._beating is not None:
            self._beating.join()
        owner, self._owner = self._owner, None
        hasty = self._objects.hasty()  # What is not given back is taken over later.
        with suppress(StorageError):
            if parse(hasty.get(self.place.path) or b"") == owner:
                hasty.delete(self.place.path)

    def _read(self) -> bytes:
        return self._objects.get(self.place.path) or b""

    def _beat(self, owner: Owner, stop: threading.Event) -> None:
        counter, hasty = 0, self._objects.hasty()
        while not stop.wait(self.beat_s):
            counter += 1
            # A beat that fails is left out: while nobody can write, nobody can see that we did not.
            with suppress(StorageError):
                if parse(hasty.get(self.place.path) or b"") != owner:
                    self._owner = None
                    return
                hasty.put(self.place.path, record(owner, counter))


def discard_object_if_dead(place: Remote) -> bool:
    """Remove a lease whose owner ran on this machine and has ended; returns whether it was removed."""
    objects = objects_at(place)
    owner = parse(objects.get(place.path) or b"")
    return owner is not None and is_dead(owner) and objects.delete(place.path)
