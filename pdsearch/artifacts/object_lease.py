"""Lease in an object storage without exclusive creation: best effort, the last writer holds it.

A process that finds no live owner writes its own name and reads it back: of two writers, the last one continues. If the
second writes only after the first has read back, there are two owners until the first one's next heartbeat. Building an
entry twice only costs time. A driver that has lost its study is stopped before it writes again.

The lease of a study, of either kind, is held by its only driver while it runs.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

from pdsearch.artifacts.file_lease import Lease, Watch, parse_owner, record
from pdsearch.artifacts.owner import Owner, is_dead, this_owner
from pdsearch.errors import StorageError, StudyHeldError
from pdsearch.io import Place, Remote
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
        return parse_owner(self._read())

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
            if parse_owner(self._read()) != owner:
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
            if parse_owner(hasty.get(self.place.path) or b"") == owner:
                hasty.delete(self.place.path)

    def _read(self) -> bytes:
        return self._objects.get(self.place.path) or b""

    def _beat(self, owner: Owner, stop: threading.Event) -> None:
        counter, hasty = 0, self._objects.hasty()
        while not stop.wait(self.beat_s):
            counter += 1
            # A failed heartbeat is skipped: if the storage is down, no other process can observe the gap.
            with suppress(StorageError):
                if parse_owner(hasty.get(self.place.path) or b"") != owner:
                    self._owner = None
                    return
                hasty.put(self.place.path, record(owner, counter))


def discard_object_if_dead(place: Remote) -> bool:
    """Remove a lease whose owner ran on this machine and has ended; return whether it was removed."""
    objects = objects_at(place)
    owner = parse_owner(objects.get(place.path) or b"")
    return owner is not None and is_dead(owner) and objects.delete(place.path)


AnyLease: TypeAlias = Lease | ObjectLease

_SETTLE_S = 1.0
"""Of two drivers that start within this time on an object storage, one notices the other."""


def lease_at(place: Place, **times: float) -> AnyLease:
    """Return the lease of a study's driver.

    Args:
        place: The lease's file or object.
        times: `beat_s` and `window_s` of `Lease`, where they are not the usual ones.
    """
    if isinstance(place, Remote):
        return ObjectLease(place, settle_s=_SETTLE_S, **times)
    return Lease(place, **times)


@contextmanager
def hold(place: Place, *, poll_s: float = 0.2, **times: float) -> Iterator[AnyLease]:
    """Hold a lease while the block runs, e.g. as the only driver of a study.

    An owner that died on this machine is replaced at once; one on another machine after `window_s` without heartbeat.

    Raises:
        StudyHeldError: Its owner is alive.
        StorageError: The storage cannot be written.
    """
    lease = lease_at(place, **times)
    while not lease.try_acquire():
        time.sleep(poll_s)
        if lease.moved() and lease.owner() is not None:
            raise StudyHeldError(
                f"held by {lease.owner()}",
                where=str(place),
                hint="wait for it to end, or stop it, then run again",
            )
    try:
        yield lease
    finally:
        lease.release()


def check_lease_held(lease: AnyLease, where: Place) -> None:
    """Stop this driver if another has taken over: its heartbeat stopped too long, or the storage admitted both.

    Raises:
        StudyHeldError: The lease names another owner.
    """
    if not lease.held:
        raise StudyHeldError(
            "another run took the study over while this one was silent",
            where=str(where),
            hint="leave it to that run; nothing finished is lost",
        )
