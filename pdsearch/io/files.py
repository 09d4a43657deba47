"""Small files, wherever they lie: read whole, replaced whole, listed, renamed, removed."""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator

from pdsearch.io.durable import UnfitFileError, read_regular, storage_errors
from pdsearch.io.objects import objects_at
from pdsearch.io.place import Place, Remote

__all__ = [
    "UnfitFileError",
    "exists",
    "names",
    "read",
    "read_all",
    "remove",
    "remove_tree",
    "rename",
    "replace",
    "subfolders",
]


def read(place: Place, most: int | None = None) -> bytes | None:
    """Return a file's bytes, or None if there is none.

    Args:
        place: The file.
        most: More bytes than such a file can have; None reads any number.

    Raises:
        UnfitFileError: It is no regular file, or larger than that.
        StorageError: It cannot be read.
    """
    if isinstance(place, Remote):
        content = objects_at(place).get(place.path)
        if most is not None and content is not None and len(content) > most:
            raise UnfitFileError(f"is larger than {most / 2**20:.0f} MiB", where=str(place))
        return content
    with storage_errors(place):
        try:
            return read_regular(place, most)
        except FileNotFoundError:
            return None


def read_all(
    folder: Place, wanted: Iterable[str], most: int | None = None
) -> Iterator[tuple[str, bytes | UnfitFileError]]:
    """Yield (name, bytes) of a folder's files in their order; one that has gone meanwhile is left out.

    Args:
        folder: Where they lie.
        wanted: Their names.
        most: As of `read`; what is no such file is yielded as the error that `read` raises.

    Raises:
        StorageError: One cannot be read.
    """
    if not isinstance(folder, Remote):
        for name in wanted:
            try:
                content: bytes | UnfitFileError | None = read(folder / name, most)
            except UnfitFileError as error:
                content = error
            if content is not None:
                yield name, content
        return
    for path, found in objects_at(folder).get_all([(folder / name).path for name in wanted]):
        if found is not None:
            yield path.rpartition("/")[2], found


def exists(place: Place) -> bool:
    """Say whether there is a file."""
    if not isinstance(place, Remote):
        return place.is_file()
    return objects_at(place).size(place.path) is not None


def names(folder: Place) -> list[str]:
    """Return the names of what lies in a folder, sorted; none if there is no such folder.

    Raises:
        StorageError: It cannot be read.
    """
    if isinstance(folder, Remote):
        found = objects_at(folder).below(folder.path)
        return [item.path.rpartition("/")[2] for item in found if item.size is not None]
    with storage_errors(folder):
        return sorted(os.listdir(folder)) if folder.is_dir() else []


def subfolders(folder: Place) -> list[str]:
    """Return the names of the folders in a folder, sorted.

    Raises:
        StorageError: It cannot be read.
    """
    if isinstance(folder, Remote):
        found = objects_at(folder).below(folder.path)
        return [item.path.rpartition("/")[2] for item in found if item.size is None]
    with storage_errors(folder):
        return sorted(item.name for item in folder.iterdir() if item.is_dir()) if folder.is_dir() else []


def replace(place: Place, content: bytes, *, hasty: bool = False) -> None:
    """Write a file as a whole, whatever stood there. On a disk it may be lost with the power, but is never half.

    Args:
        place: The file.
        content: Its bytes.
        hasty: Do not wait for an object storage that does not answer.

    Raises:
        StorageError: It cannot be written.
    """
    if isinstance(place, Remote):
        objects = objects_at(place)
        (objects.hasty() if hasty else objects).put(place.path, content)
        return
    fresh = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            fresh.write_bytes(content)
            os.replace(fresh, place)
        finally:
            fresh.unlink(missing_ok=True)


def rename(place: Place, name: str) -> None:
    """Give a file another name in its folder; a copy and a removal where nothing can be renamed.

    Raises:
        StorageError: It cannot be written.
    """
    if isinstance(place, Remote):
        objects = objects_at(place)
        objects.copy(place.path, place.with_name(name).path)
        objects.delete(place.path)
        return
    with storage_errors(place):
        place.rename(place.with_name(name))


def remove(place: Place) -> None:
    """Remove a file, if there is one.

    Raises:
        StorageError: It cannot be removed.
    """
    if isinstance(place, Remote):
        objects_at(place).delete(place.path)
        return
    with storage_errors(place):
        place.unlink(missing_ok=True)


def remove_tree(folder: Place) -> None:
    """Remove a folder with all in it, as far as that can be done."""
    if isinstance(folder, Remote):
        objects_at(folder).delete_below(folder.path)
    else:
        shutil.rmtree(folder, ignore_errors=True)
