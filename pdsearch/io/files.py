"""Operations on small files in a folder or an object storage: read, replace, list, rename, remove."""

import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator

from pdsearch.errors import StorageError
from pdsearch.io.durable import UnfitFileError, read_regular, storage_errors
from pdsearch.io.objects import objects_at
from pdsearch.io.place import Place, Remote


def read(place: Place, most: int | None = None) -> bytes | None:
    """Return a file's bytes, or None if it does not exist.

    Args:
        place: The file.
        most: Size limit for a file of its kind, in bytes; None for no limit.

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
    """Yield (name, bytes) of a folder's files in the given order; files that no longer exist are left out.

    Args:
        folder: Their folder.
        wanted: Their names.
        most: As for `read`; for an unfit file, the UnfitFileError is yielded instead of bytes.

    Raises:
        StorageError: A file cannot be read.
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
    """Return whether a file exists."""
    if not isinstance(place, Remote):
        return place.is_file()
    return objects_at(place).size(place.path) is not None


def entry_names(folder: Place) -> list[str]:
    """Return the names of a folder's entries, sorted; none if it does not exist.

    Raises:
        StorageError: It cannot be read.
    """
    if isinstance(folder, Remote):
        found = objects_at(folder).below(folder.path)
        return [item.path.rpartition("/")[2] for item in found if item.size is not None]
    with storage_errors(folder):
        return sorted(os.listdir(folder)) if folder.is_dir() else []


def subfolders(folder: Place) -> list[str]:
    """Return the names of a folder's subfolders, sorted.

    Raises:
        StorageError: It cannot be read.
    """
    if isinstance(folder, Remote):
        found = objects_at(folder).below(folder.path)
        return [item.path.rpartition("/")[2] for item in found if item.size is None]
    with storage_errors(folder):
        return sorted(item.name for item in folder.iterdir() if item.is_dir()) if folder.is_dir() else []


def replace(place: Place, content: bytes, *, hasty: bool = False) -> None:
    """Write a file atomically, replacing an existing one. Not synced: it may be lost in a crash, but is never partial.

    Args:
        place: The file.
        content: Its bytes.
        hasty: Whether to skip retries if an object storage does not answer.

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
    """Rename a file within its folder; on an object storage, copy it and delete the original.

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
    """Remove a file, if it exists.

    Raises:
        StorageError: It cannot be removed.
    """
    if isinstance(place, Remote):
        objects_at(place).delete(place.path)
        return
    with storage_errors(place):
        place.unlink(missing_ok=True)


def remove_tree(folder: Place) -> None:
    """Remove a folder with its content, ignoring what cannot be removed."""
    if isinstance(folder, Remote):
        objects_at(folder).delete_below(folder.path)
    else:
        shutil.rmtree(folder, ignore_errors=True)


_USABLE_WITHIN_S = 10.0
"""Many runs that begin at once are told now and then to slow down; what is wrong is told soon all the same."""


def check_usable(root: Place) -> None:
    """Write, read and remove an object, with retries of some seconds; of a folder see `check_writable`.

    Raises:
        ConfigError: The URL has an option that is not known.
        StorageError: No such bucket, no permission, or no answer.
    """
    if not isinstance(root, Remote):
        return
    objects, probe = objects_at(root).hasty(_USABLE_WITHIN_S), root / f".probe-{uuid.uuid4().hex}"
    objects.put(probe.path, b"pdsearch")
    said = objects.get(probe.path)
    objects.delete(probe.path)
    if said != b"pdsearch":
        raise StorageError("what was written cannot be read again", where=str(root))


def check_writable(root: Place, study: Place) -> None:
    """Check that this user may write wherever a study puts results; on an object storage `check_usable` does.

    Folders of artifacts are shared by all studies of a storage, and the first user of one determines its permissions:
    without this look, a finished training might have no place.

    Args:
        root: The storage.
        study: The study's folder.

    Raises:
        StorageError: A folder belongs to another user and is closed, or its file system is read-only.
    """
    if isinstance(root, Remote) or isinstance(study, Remote):
        return
    artifacts = root / "artifacts"
    with storage_errors(artifacts):
        shared = [artifacts, *artifacts.glob("*"), *artifacts.glob("[!.]*/*")]
        for folder in (study, study / "trials", root / "progress", *shared):
            if folder.is_dir() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                status = folder.stat()
                raise StorageError(
                    f"this user (id {os.geteuid()}) may not write here: it belongs to user {status.st_uid},"
                    f" group {status.st_gid}, {stat.filemode(status.st_mode)}",
                    where=str(folder),
                    hint="let all who use this storage write in all of it (chmod -R g+rwX, and umask 002 from then"
                    " on), make it writable if it is mounted read-only, or choose another storage",
                )
