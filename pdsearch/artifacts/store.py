"""Where do results of stages live? In a folder, local or on a shared mount, of entries published once, whole.

Layout: <root>/<stage>/<first two digits of key>/<key>/{manifest.json, payload files}, and beside the stages
.tmp (being written), .leases (being built) and .quarantine (found broken, kept for a person to look at).
"""

import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pdsearch.artifacts.drafts import draft_name, is_orphan
from pdsearch.artifacts.interface import Entry
from pdsearch.artifacts.lease import Lease, discard_if_dead
from pdsearch.artifacts.manifest import (
    CorruptError,
    Manifest,
    Signature,
    payload_files,
    read_manifest,
    signature,
    verify,
)
from pdsearch.artifacts.sealing import move_into_place, seal
from pdsearch.durable import storage_errors, sync_folder
from pdsearch.errors import StorageError
from pdsearch.specs import Json

__all__ = ["Store"]

_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_KEY = re.compile(r"[0-9a-f]{64}")


class Store:
    """A store in one folder. Invariant: whatever lies at an entry's place was published whole.

    Args:
        root: The folder; created on the first publish.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._verified: dict[tuple[str, str], tuple[Signature, Manifest]] = {}

    def find(self, stage: str, key: str) -> Entry | None:
        """Return the entry, its checksums checked, or None; a broken one is quarantined: a miss.

        Raises:
            StorageError: The storage cannot be read, or the name is no entry's name.
        """
        folder = self._folder(stage, key)
        with storage_errors(folder):
            known = self._verified.get((stage, key))
            if known is not None and _unchanged(folder, *known):
                return Entry(stage, key, folder, dict(known[1].meta))
            if not _exists(folder):
                return None
            try:
                manifest = self._check(stage, key, folder)
            except CorruptError:
                self._quarantine(stage, key, folder)
                return None
            return Entry(stage, key, folder, dict(manifest.meta))

    def publish(self, stage: str, key: str, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Write an entry in a folder of its own and move it into place; an existing entry wins.

        Args:
            stage: Name of the stage.
            key: Key of the entry.
            write: Called with an empty folder; puts the payload there.
            meta: Kept in the manifest; read after `write` has returned, so that `write` may fill it.

        Raises:
            StorageFullError: No space is left; nothing was published.
            StorageError: The storage cannot be written, or the name is no entry's name.
        """
        target = self._folder(stage, key)
        draft = self.root / ".tmp" / draft_name()
        with storage_errors(draft):
            try:
                draft.parent.mkdir(parents=True, exist_ok=True)
                draft.mkdir()
                write(draft)
                manifest = seal(stage, key, draft, meta)
                return self._place(draft, target, manifest)
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def lease(self, stage: str, key: str) -> Lease:
        """Return the lease under which this entry is built."""
        self._folder(stage, key)
        return Lease(self.root / ".leases" / f"{stage}-{key}.json")

    def entries(self, stage: str | None = None) -> Iterator[tuple[str, str]]:
        """Yield (stage, key) of every entry, unchecked, in sorted order."""
        names = [stage] if stage else [item.name for item in _folders(self.root)]
        for name in filter(_STAGE.fullmatch, names):
            for shard in _folders(self.root / name):
                yield from ((name, item.name) for item in _folders(shard) if _KEY.fullmatch(item.name))

    def size(self, stage: str, key: str) -> int:
        """Return the bytes of an entry's payload; 0 if there is none."""
        folder = self._folder(stage, key)
        with storage_errors(folder):
            return sum(p.stat().st_size for _, p in payload_files(folder)) if folder.is_dir() else 0

    def used(self, stage: str) -> int:
        """Return the bytes of all payloads of a stage; what is removed meanwhile counts as it is found."""
        return sum(self.size(stage, key) for _, key in self.entries(stage))

    def remove(self, stage: str, key: str) -> bool:
        """Remove an entry; a reader that has its files open keeps them. Returns whether there was one."""
        folder = self._folder(stage, key)
        with storage_errors(folder):
            gone = self._move_aside(folder, ".tmp")
        if gone is not None:
            shutil.rmtree(gone, ignore_errors=True)
        self._verified.pop((stage, key), None)
        return gone is not None

    def complaint(self, stage: str, key: str, *, deep: bool = True) -> str | None:
        """Say what is wrong with an entry; None if nothing is, or there is none. Nothing is changed.

        Args:
            stage: Name of the stage.
            key: Key of the entry.
            deep: Hash its files; otherwise only the manifest and the sizes are compared.

        Raises:
            StorageError: The storage cannot be read.
        """
        folder = self._folder(stage, key)
        with storage_errors(folder):
            if not _exists(folder):
                return None
            try:
                manifest = read_manifest(folder, stage, key)
                verify(folder, manifest, deep=deep)
            except CorruptError as error:
                return str(error)
        return None

    def leftovers(self, older_than_s: float = 86_400.0) -> list[Path]:
        """Return what was being written, built or moved by processes that have ended.

        Args:
            older_than_s: Seconds since the last change, by the storage's clock, after which a draft counts as left by a
                process of another machine; well above the longest build.
        """
        drafts, leases = self.root / ".tmp", self.root / ".leases"
        found = [item for item in _folders(drafts) if is_orphan(item.name)]
        with storage_errors(leases):
            found += [item for item in leases.glob(".*") if is_orphan(item.name)]
            known = [item for item in _folders(drafts) if item not in found]
            if known:
                now = _now(drafts)
                found += [item for item in known if now - item.stat().st_mtime > older_than_s]
        return found

    def sweep(self, older_than_s: float = 86_400.0) -> int:
        """Remove what ended processes left, leases included; returns how many things.

        Args:
            older_than_s: As in `leftovers`.
        """
        gone = self.leftovers(older_than_s)
        for item in gone:
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)
        return len(gone) + sum(discard_if_dead(path) for path in (self.root / ".leases").glob("[!.]*.json"))

    def _folder(self, stage: str, key: str) -> Path:
        if not _STAGE.fullmatch(stage) or not _KEY.fullmatch(key):
            raise StorageError(f"{stage!r}/{key!r} does not name an artifact", where=str(self.root))
        return self.root / stage / key[:2] / key

    def _check(self, stage: str, key: str, folder: Path) -> Manifest:
        manifest = read_manifest(folder, stage, key)
        try:
            # Taken before hashing: a change while we hash shows as another signature later.
            before = signature(folder, manifest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CorruptError("a file is missing") from error
        verify(folder, manifest)
        self._verified[stage, key] = (before, manifest)
        return manifest

    def _quarantine(self, stage: str, key: str, folder: Path) -> None:
        self._verified.pop((stage, key), None)
        aside = self._move_aside(folder, ".quarantine")
        if aside is None:
            return
        # Another process may have quarantined the broken entry and published a good one in between.
        with suppress(CorruptError, OSError):
            verify(aside, read_manifest(aside, stage, key))
            aside.rename(folder)

    def _move_aside(self, folder: Path, area: str) -> Path | None:
        aside = self.root / area / f"{folder.parent.parent.name}-{folder.name}-{uuid.uuid4().hex[:8]}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return None
        return aside

    def _place(self, draft: Path, target: Path, manifest: Manifest) -> Entry:
        while not move_into_place(draft, target):
            existing = self.find(manifest.stage, manifest.key)
            if existing is not None:
                return existing
        sync_folder(target.parent)
        self._verified[manifest.stage, manifest.key] = (signature(target, manifest), manifest)
        return Entry(manifest.stage, manifest.key, target, dict(manifest.meta))


def _now(folder: Path) -> float:
    """Return the time by the storage's clock."""
    probe = folder / draft_name()
    probe.mkdir()
    try:
        return probe.stat().st_mtime
    finally:
        probe.rmdir()


def _unchanged(folder: Path, seen: Signature, manifest: Manifest) -> bool:
    try:
        return signature(folder, manifest) == seen
    except (FileNotFoundError, NotADirectoryError):
        return False


def _exists(folder: Path) -> bool:
    # Listing the shard asks a network file system again, where a plain stat may repeat a remembered "no".
    try:
        return folder.name in os.listdir(folder.parent)
    except FileNotFoundError:
        return False


def _folders(parent: Path) -> list[Path]:
    with storage_errors(parent):
        return sorted(item for item in parent.iterdir() if item.is_dir()) if parent.is_dir() else []
