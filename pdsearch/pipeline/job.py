"""A job run patiently: begun again from its checkpoints where the storage did not answer."""

import time
from collections.abc import Callable, Generator

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.io import StorageAwayError, StorageDeniedError
from pdsearch.io.durable import PAUSES_S
from pdsearch.pipeline.context import Site
from pdsearch.pipeline.trial import run_job
from pdsearch.protocol import Event, Job, Progress

__all__ = ["PAUSES_S", "patiently"]


def patiently(
    job: Job,
    site: Site,
    *,
    pauses: tuple[float, ...] = PAUSES_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event, None, None]:
    """Run a job; when the storage refuses, wait and run it again. Events of a second run repeat those of the first.

    Args:
        job: What to run.
        site: Where.
        pauses: Seconds to wait, time by time; after the last one the refusal is raised.
        sleep: Waits.

    Raises:
        StorageFullError: At once: waiting makes no room.
        StorageAwayError: At once: an object storage has been waited for already, call by call.
        StorageDeniedError: At once: waiting gives no right.
        StorageError: The storage refused every time.
    """
    for pause in (*pauses, None):
        try:
            yield from run_job(job, site)
            return
        except (StorageFullError, StorageAwayError, StorageDeniedError):
            raise
        except StorageError as error:
            if pause is None:
                raise
            yield Progress("storage", note=f"{error.what}; trying again in {pause:g} s")
            sleep(pause)
