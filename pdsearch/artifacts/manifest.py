"""Manifests of entries: file lists with checksums, their verification, and the sealing of a folder as an entry."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pdsearch.errors import StorageError
from pdsearch.io.durable import sync_file, sync_folder, write_new
from pdsearch.specs import Json, canonical_json

MANIFEST = "manifest.json"
_FORMAT = 1
_HEAD, _MIDDLE, _TAIL = b'{"manifest":', b',"sha256":"', b'"}\n'
Signature: TypeAlias = tuple[tuple[int, int, int], ...]


class CorruptError(Exception):
    """An entry differs from what was published; the caller quarantines it and treats it as missing."""


@dataclass(frozen=True)
class Manifest:
    """The list of an entry's files.

    Args:
        stage: Stage the entry belongs to.
        key: Its key.
        meta: Metadata of the result, from the stage.
        files: (name, size in bytes, SHA-256 hex) of every payload file; names are relative, with "/".
    """

    stage: str
    key: str
    meta: dict[str, Json]
    files: tuple[tuple[str, int, str], ...]

    def to_bytes(self) -> bytes:
        """Return the content of the manifest's file: one JSON object with the checksum of its own canonical text."""
        body: dict[str, Json] = {
            "format": _FORMAT,
            "stage": self.stage,
            "key": self.key,
            "meta": self.meta,
            "files": [[name, size, checksum] for name, size, checksum in self.files],
        }
        return _framed(canonical_json(body).encode())


def _framed(text: bytes) -> bytes:
    return _HEAD + text + _MIDDLE + hashlib.sha256(text).hexdigest().encode() + _TAIL


def payload_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (relative name, path) of every payload file, in sorted order.

    Raises:
        StorageError: Something is neither a file nor a folder; a link would point outside the entry.
    """
    for item in sorted(folder.iterdir()):
        mode = item.lstat().st_mode
        if stat.S_ISDIR(mode):
            yield from ((f"{item.name}/{name}", path) for name, path in payload_files(item))
        elif stat.S_ISREG(mode):
            yield item.name, item
        else:
            raise StorageError("an artifact holds files and folders only", where=str(item))


def make_manifest(stage: str, key: str, folder: Path, meta: dict[str, Json]) -> Manifest:
    """Return the manifest of a folder, hashing every payload file below it."""
    files = tuple((name, path.stat().st_size, _sha256(path)) for name, path in payload_files(folder))
    return Manifest(stage, key, meta, files)


def read_manifest(folder: Path, stage: str, key: str) -> Manifest:
    """Read and check a folder's manifest.

    Raises:
        CorruptError: It is missing, truncated, altered, or another entry's.
        StorageError: It is intact, but of a format this version does not know.
    """
    return parse_manifest(_read(folder / MANIFEST), stage, key, where=str(folder))


def parse_manifest(content: bytes, stage: str, key: str, *, where: str) -> Manifest:
    """Parse and check the bytes of a manifest.

    Args:
        content: The bytes read.
        stage: Stage of the entry it was read for.
        key: Key of that entry.
        where: Location for the error.

    Raises:
        CorruptError: It is truncated, altered, or another entry's.
        StorageError: It is intact, but of a format this version does not know.
    """
    body = json.loads(_checked_text(content))
    if body["format"] != _FORMAT:
        raise StorageError(
            f"an artifact of format {body['format']!r}; this version reads {_FORMAT}",
            where=where,
            hint="use the version of pdsearch that wrote it, or another storage",
        )
    if (body["stage"], body["key"]) != (stage, key):
        raise CorruptError("the manifest is another entry's")
    files = tuple((name, size, checksum) for name, size, checksum in body["files"])
    for name, _, _ in files:
        _check_name(name)
    return Manifest(stage, key, body["meta"], files)


def _checked_text(content: bytes) -> bytes:
    text = content[len(_HEAD) : -len(_MIDDLE) - 64 - len(_TAIL)]
    if content != _framed(text):
        raise CorruptError("the manifest is not what was written")
    return text


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name or name == MANIFEST:
        raise CorruptError(f"illegal file name {name!r}")


def check_files(folder: Path, manifest: Manifest, *, deep: bool = True) -> None:
    """Compare every payload file with the manifest.

    Args:
        folder: The entry's folder.
        manifest: The entry's manifest.
        deep: Whether to compare content too, not only sizes.

    Raises:
        CorruptError: A file is missing, or its size or content differs.
    """
    for name, size, checksum in manifest.files:
        path = folder / name
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != size:
                raise CorruptError(f"{name} is not what was written")
            if deep and _sha256(path) != checksum:
                raise CorruptError(f"{name} is not what was written")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CorruptError(f"{name} is missing") from error


def signature(folder: Path, manifest: Manifest) -> Signature:
    """Return (inode, time of change in ns, size) of every file; if it is unchanged, files need not be hashed again.

    Raises:
        FileNotFoundError: A file is missing.
    """
    base = os.fspath(folder)
    names = [MANIFEST, *(name for name, _, _ in manifest.files)]
    found = (os.lstat(f"{base}/{name}") for name in names)
    return tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in found)


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise CorruptError("the manifest is no file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CorruptError("the manifest is missing") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Checked:
    """Cache of the entries one process has checked. Invariant: a signature was taken before the content was read."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[Signature, Manifest]] = {}

    def known(self, stage: str, key: str, folder: Path) -> Manifest | None:
        """Return the manifest of an entry that was checked before and is unchanged, without reading its files."""
        seen = self._seen.get((stage, key))
        if seen is None:
            return None
        before, manifest = seen
        try:
            return manifest if signature(folder, manifest) == before else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def check(self, stage: str, key: str, folder: Path) -> Manifest:
        """Read and hash all files of an entry.

        Raises:
            CorruptError: It differs from what was published.
            StorageError: It is intact, but of a format this version does not know.
        """
        manifest = read_manifest(folder, stage, key)
        try:
            # Taken before hashing, so that a change during hashing gives another signature later.
            before = signature(folder, manifest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CorruptError("a file is missing") from error
        check_files(folder, manifest)
        self._seen[stage, key] = (before, manifest)
        return manifest

    def trust(self, manifest: Manifest, folder: Path) -> None:
        """Record as checked an entry that this process has just hashed and moved into place."""
        self._seen[manifest.stage, manifest.key] = (signature(folder, manifest), manifest)

    def forget(self, stage: str, key: str) -> None:
        """Drop an entry that was removed."""
        self._seen.pop((stage, key), None)


def seal(stage: str, key: str, draft: Path, meta: dict[str, Json]) -> Manifest:
    """Write the manifest of a folder and sync all of it to the disk."""
    # The draft has its mode from the umask; payload files get the same read permissions and no write permission.
    mode = draft.stat().st_mode & 0o444
    manifest = make_manifest(stage, key, draft, meta)
    write_new(draft / MANIFEST, manifest.to_bytes())
    for path in [draft / MANIFEST, *(path for _, path in payload_files(draft))]:
        sync_file(path)
        path.chmod(mode)
    for folder in {draft, *(path.parent for _, path in payload_files(draft))}:
        sync_folder(folder)
    return manifest


def move_into_place(draft: Path, target: Path) -> bool:
    """Rename a sealed folder to its final path; False if that path is taken."""
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(target.parent.parent)
        sync_folder(target.parent.parent.parent)
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True
