"""The lease of a study, held by its only driver while it runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from pdsearch.artifacts.leases.file_lease import Lease
from pdsearch.artifacts.leases.object_lease import ObjectLease
from pdsearch.errors import StudyHeldError
from pdsearch.io import Place, Remote

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


def check_held(lease: AnyLease, where: Place) -> None:
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
