"""Artifact store in a folder, local or on a shared mount: entries are published once, atomically.

Layout: <root>/<stage>/<first two digits of key>/<key>/{manifest.json, payload files}, and beside the stages
.tmp (being written), .leases (being built) and .quarantine (broken entries, kept for inspection).
"""

import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from pdsearch.artifacts.base import Entry, Holding, check_name, is_key, is_stage
from pdsearch.artifacts.file_lease import Lease, discard_if_dead
from pdsearch.artifacts.manifest import (
    Checked,
    CorruptError,
    Manifest,
    check_files,
    move_into_place,
    read_manifest,
    seal,
)
from pdsearch.artifacts.owner import draft_name, is_dead, is_orphan
from pdsearch.io import subfolders
from pdsearch.io.durable import storage_errors, sync_folder
from pdsearch.specs import Json

_LEFT_S = 86_400.0
"""Age from which another machine's draft counts as left by a dead process: well above the longest build."""


class Store:
    """A store in one folder. Invariant: anything at an entry's path was published completely.

    Args:
        root: The folder; created on the first publish.
    """

    poll_s = 0.05

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._drafts, self._leases, self._broken = (
            self.root / name for name in (".tmp", ".leases", ".quarantine")
        )
        self._checked = Checked()

    def find(self, stage: str, key: str) -> Entry | None:
        """Return the entry after verifying its checksums, or None; a broken one is quarantined and counts as missing.

        Raises:
            StorageError: The storage cannot be read, or the name is invalid.
        """
        folder = self._folder(stage, key)
        with storage_errors(folder):
            manifest = self._checked.known(stage, key, folder)
            if manifest is None and not _exists(folder):
                return None
            try:
                manifest = manifest or self._checked.check(stage, key, folder)
            except CorruptError:
                self._quarantine(stage, key, folder)
                return None
            return Entry(stage, key, folder, dict(manifest.meta))

    def publish(self, stage: str, key: str, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Write an entry in a temporary folder and rename it to its path; an existing entry is kept and returned.

        Args:
            stage: Name of the stage.
            key: Key of the entry.
            write: Called with an empty folder; writes the payload there.
            meta: Stored in the manifest; read after `write` has returned, so that `write` may fill it.

        Raises:
            StorageFullError: No space is left; nothing was published.
            StorageError: The storage cannot be written, or the name is invalid.
        """
        target = self._folder(stage, key)
        with self._draft() as draft:
            write(draft)
            return self._place(draft, target, seal(stage, key, draft, meta))

    def receive(self, manifest: Manifest, fetch: Callable[[Path], None]) -> Entry:
        """Add a copy of an entry that was published elsewhere; an existing one is kept and returned.

        Args:
            manifest: The published manifest.
            fetch: Called with an empty folder; writes the payload there.

        Raises:
            CorruptError: The fetched payload does not match the manifest.
            StorageFullError: No space is left.
            StorageError: The storage cannot be written.
        """
        target = self._folder(manifest.stage, manifest.key)
        with self._draft() as draft:
            fetch(draft)
            sealed = seal(manifest.stage, manifest.key, draft, manifest.meta)
            if sealed.files != manifest.files:
                raise CorruptError("what was fetched is not what was published")
            return self._place(draft, target, sealed)

    def lease(self, stage: str, key: str) -> Lease:
        """Return the lease under which this entry is built."""
        self._folder(stage, key)
        return Lease(self._leases / f"{stage}-{key}.json")

    def entries(self, stage: str | None = None) -> Iterator[tuple[str, str]]:
        """Yield (stage, key) of every entry, unchecked, in sorted order."""
        for name in filter(is_stage, [stage] if stage else subfolders(self.root)):
            for shard in subfolders(self.root / name):
                yield from ((name, key) for key in subfolders(self.root / name / shard) if is_key(key))

    def holdings(self) -> Iterator[Holding]:
        """Yield every entry, unchecked, in sorted order; entries removed meanwhile are left out."""
        for stage, key in self.entries():
            folder = self._folder(stage, key)
            with storage_errors(folder):
                try:
                    yield Holding(stage, key, self.size(stage, key), folder.stat().st_mtime)
                except FileNotFoundError:
                    continue

    def building(self) -> Set[tuple[str, str]]:
        """Return (stage, key) of the entries being built, as far as can be told from here."""
        found = set()
        for path in self._lease_files():
            owner = Lease(path).owner()
            if owner is not None and not is_dead(owner):
                stage, _, key = path.stem.rpartition("-")
                found.add((stage, key))
        return found

    def size(self, stage: str, key: str) -> int:
        """Return the size of an entry's payload in bytes; 0 if there is no entry."""
        folder = self._folder(stage, key)
        with storage_errors(folder):
            found = [item.lstat() for item in folder.rglob("*")]
        return sum(status.st_size for status in found if stat.S_ISREG(status.st_mode))

    def used(self, stage: str) -> int:
        """Return the size of all payloads of a stage in bytes, approximate while entries are being removed."""
        return sum(self.size(stage, key) for _, key in self.entries(stage))

    def remove(self, stage: str, key: str) -> bool:
        """Remove an entry; a reader that has its files open can still read them. Returns whether there was one."""
        folder = self._folder(stage, key)
        with storage_errors(folder):
            gone = self._move_aside(folder, self._drafts)
        if gone is not None:
            shutil.rmtree(gone, ignore_errors=True)
        self._checked.forget(stage, key)
        return gone is not None

    def complaint(self, stage: str, key: str, *, deep: bool = True) -> str | None:
        """Return what is wrong with an entry; None if nothing is, or there is no entry. Nothing is changed.

        Args:
            stage: Name of the stage.
            key: Key of the entry.
            deep: Whether to hash its files; otherwise only the manifest and the sizes are compared.

        Raises:
            StorageError: The storage cannot be read.
        """
        folder = self._folder(stage, key)
        with storage_errors(folder):
            if not _exists(folder):
                return None
            try:
                manifest = read_manifest(folder, stage, key)
                check_files(folder, manifest, deep=deep)
            except CorruptError as error:
                return str(error)
        return None

    def leftovers(self) -> list[Path]:
        """Return the unfinished drafts and lease files of processes that have ended."""
        drafts = [self._drafts / name for name in subfolders(self._drafts)]
        found = [item for item in drafts if is_orphan(item.name)]
        with storage_errors(self._leases):
            found += [item for item in self._leases.glob(".*") if is_orphan(item.name)]
            known = [item for item in drafts if item not in found]
            if known:
                now = _now(self._drafts)
                found += [item for item in known if now - item.stat().st_mtime > _LEFT_S]
        return found

    def sweep(self) -> int:
        """Remove leftovers of ended processes, leases included; returns their number."""
        gone = self.leftovers()
        for item in gone:
            if item.is_dir():
                shutil.rmtree(item, ignore_errors=True)
            else:
                item.unlink(missing_ok=True)
        return len(gone) + sum(discard_if_dead(path) for path in self._lease_files())

    def empty_quarantine(self) -> int:
        """Remove quarantined entries; returns their size in bytes."""
        files = [path for path in self._broken.rglob("*") if path.is_file()]
        size = sum(path.lstat().st_size for path in files)
        shutil.rmtree(self._broken, ignore_errors=True)
        return size

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Provide a folder to write in; it is removed afterwards with whatever is left in it."""
        draft = self._drafts / draft_name()
        with storage_errors(draft):
            try:
                draft.parent.mkdir(parents=True, exist_ok=True)
                draft.mkdir()
                yield draft
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def _lease_files(self) -> Iterator[Path]:
        return self._leases.glob("[!.]*.json")

    def _folder(self, stage: str, key: str) -> Path:
        check_name(stage, key, where=str(self.root))
        return self.root / stage / key[:2] / key

    def _quarantine(self, stage: str, key: str, folder: Path) -> None:
        self._checked.forget(stage, key)
        aside = self._move_aside(folder, self._broken)
        if aside is None:
            return
        # Another process may have quarantined the broken entry and published a good one in between: restore that.
        with suppress(CorruptError, OSError):
            check_files(aside, read_manifest(aside, stage, key))
            aside.rename(folder)

    def _move_aside(self, folder: Path, area: Path) -> Path | None:
        aside = area / f"{folder.parent.parent.name}-{folder.name}-{uuid.uuid4().hex[:8]}"
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
        self._checked.trust(manifest, target)
        return Entry(manifest.stage, manifest.key, target, dict(manifest.meta))


def _exists(folder: Path) -> bool:
    # Listing the folder queries a network file system, where a stat may return a cached negative answer.
    try:
        return folder.name in os.listdir(folder.parent)
    except FileNotFoundError:
        return False


def _now(folder: Path) -> float:
    """Return the time according to the storage's clock."""
    probe = folder / draft_name()
    probe.mkdir()
    try:
        return probe.stat().st_mtime
    finally:
        probe.rmdir()
