"""Run of a job that is retried from its checkpoints when the storage fails."""

import time
from collections.abc import Callable, Generator

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.io import StorageAwayError, StorageDeniedError
from pdsearch.io.durable import PAUSES_S
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.trial import run_job
from pdsearch.protocol import Event, Job, Progress

__all__ = ["PAUSES_S", "patiently"]


def patiently(
    job: Job,
    site: WorkerContext,
    *,
    pauses: tuple[float, ...] = PAUSES_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event, None, None]:
    """Run a job; on a storage error, wait and run it again. A second run repeats the events of the first.

    Args:
        job: The job to run.
        site: Where to run it.
        pauses: Seconds to wait before each retry; after the last retry the error is raised.
        sleep: Function that waits.

    Raises:
        StorageFullError: At once, since waiting frees no space.
        StorageAwayError: At once, since every call to an object storage has been retried already.
        StorageDeniedError: At once, since waiting grants no permission.
        StorageError: The storage failed every time.
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
