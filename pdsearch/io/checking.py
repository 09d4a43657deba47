"""A first check of a storage: a wrong bucket, right or endpoint is said before anything is computed."""

import uuid

from pdsearch.errors import StorageError
from pdsearch.io.objects import objects_at
from pdsearch.io.place import Place, Remote

__all__ = ["check"]


def check(root: Place) -> None:
    """Write an object, read it and remove it again, without patience; a folder is asked when it is written to.

    Raises:
        ConfigError: The URL has an option that is not known.
        StorageError: No such bucket, no permission, or no answer.
    """
    if not isinstance(root, Remote):
        return
    objects, probe = objects_at(root).hasty(), root / f".probe-{uuid.uuid4().hex}"
    objects.put(probe.path, b"pdsearch")
    said = objects.get(probe.path)
    objects.delete(probe.path)
    if said != b"pdsearch":
        raise StorageError("what was written cannot be read again", where=str(root))
