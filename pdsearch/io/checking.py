"""Check of a storage before anything is computed: reports a wrong bucket, permission or endpoint."""

import uuid

from pdsearch.errors import StorageError
from pdsearch.io.objects import objects_at
from pdsearch.io.place import Place, Remote


def check(root: Place) -> None:
    """Write, read and remove an object, without retries; a folder is checked only when it is written to.

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
