"""Room for a study before it begins: without any the run ends; too little disk and too few cores are said."""

import shutil

from pdsearch.cores import cores
from pdsearch.durable import storage_errors
from pdsearch.errors import StorageFullError
from pdsearch.search.disk import disk, known_images
from pdsearch.search.plan import plan
from pdsearch.space import Space
from pdsearch.storage import Place, Remote, cache_folder

__all__ = ["LEAST_BYTES", "check_room", "crowd", "room"]

LEAST_BYTES = 200 * 10**6
"""Less is left for records and checkpoints than they may need at once."""


def check_room(root: Place) -> int:
    """Return the bytes that are free for a study.

    Args:
        root: The storage; its folder is made.

    Raises:
        StorageFullError: There is too little to begin.
        StorageError: The storage cannot be looked at.
    """
    # An object storage has room; the copies on this machine need some.
    disk_folder = cache_folder(root) if isinstance(root, Remote) else root
    with storage_errors(disk_folder):
        disk_folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(disk_folder).free
    if free < LEAST_BYTES:
        raise StorageFullError(
            f"{free / 1e6:.0f} MB are free; a study needs {LEAST_BYTES / 1e6:.0f} MB to begin",
            where=str(disk_folder),
            hint="free some space (pdsearch cache gc), then run the same command again",
        )
    return free


def room(space: Space, root: Place) -> str | None:
    """Return a warning if all of a study may not fit.

    Args:
        space: What is searched.
        root: The storage.

    Raises:
        StorageError: As of `check_room`.
    """
    free = check_room(root)
    if isinstance(root, Remote):
        return None
    images = known_images(space.resolve(space.defaults()).data)
    need = 0.0 if images is None else disk(space, plan(space), images).total
    if need <= free:
        return None
    return f"the study may fill {need / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free in {root}"


def crowd(space: Space, at_once: int) -> str | None:
    """Return a warning if trials on this machine ask for more cores than there are.

    Args:
        space: What is searched.
        at_once: Trials that run at the same time.
    """
    wanted, there = at_once * space.resources.cpu, cores()
    if wanted <= there:
        return None
    return (
        f"{at_once} trials at once with {space.resources.cpu} cores each want {wanted} of {there} cores and will wait"
        " for one another: fewer --workers or a smaller resources.cpu is faster"
    )
