"""Artifact store in an object storage: payloads named by their content, the manifest written last.

Layout: <root>/<stage>/<first two digits of key>/<key>/{manifest.json, <digits of its hash>-<payload file>}, and beside
the stages .leases (being built) and .quarantine (broken entries, kept for inspection).

Renaming and exclusive creation are not available there. So a payload object's name contains its content's hash: two
publishers of one key do not overwrite each other's payload, and that of the last manifest is complete. What a machine
reads is copied into a bounded cache, shared by its processes.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pdsearch.artifacts.base import Entry, Holding, check_name, is_key, is_stage
from pdsearch.artifacts.build_once import building
from pdsearch.artifacts.file_lease import parse_owner
from pdsearch.artifacts.local_store import Store
from pdsearch.artifacts.manifest import MANIFEST, CorruptError, Manifest, parse_manifest
from pdsearch.artifacts.object_lease import ObjectLease, discard_object_if_dead
from pdsearch.artifacts.owner import is_dead
from pdsearch.io import Place, Remote, cache_folder
from pdsearch.io.durable import storage_errors
from pdsearch.io.objects import Listed, Objects, objects_at
from pdsearch.specs import Json

LIMIT_BYTES = 50 * 2**30
"""Limit for the copies of one storage, unless PDSEARCH_CACHE_GB sets another."""

SPARED_S = 600.0
"""Copies used within this time are kept even beyond the limit: a reader may be about to open them."""


class NodeCache:
    """Local copies of entries, each fetched once for all processes of a machine.

    Args:
        folder: Folder of the copies; created when needed.
    """

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.limit_bytes = _cache_limit()  # Of their total size; exceeded only by copies in use.

    def get(self, manifest: Manifest, fetch: Callable[[Path], None]) -> Entry:
        """Return this machine's copy of an entry, fetching it if it is missing or of another publication.

        Args:
            manifest: The entry's published manifest.
            fetch: Called with an empty folder; writes the payload there.

        Raises:
            CorruptError: The fetched payload does not match the manifest.
            StorageFullError: The disk is full.
        """
        stage, key = manifest.stage, manifest.key
        entry = self._same(manifest)
        if entry is None:
            with building(self.store, stage, key) as turn:
                for _ in turn.wait():
                    continue
                entry = self._same(manifest)
                if entry is None:
                    self.store.remove(stage, key)
                    self.make_room(sum(size for _, size, _ in manifest.files))
                    entry = self.store.receive(manifest, fetch)
        with suppress(OSError):
            os.utime(entry.folder)
        return entry

    def make_room(self, size: int) -> None:
        """Remove copies, least recently used first, until `size` more bytes fit into the limit."""
        held = sorted(self.store.holdings(), key=lambda item: item.published)
        total, now = sum(item.size for item in held) + size, time.time()
        for item in held:
            if total <= self.limit_bytes or now - item.published < SPARED_S:
                return
            self.store.remove(item.stage, item.key)
            total -= item.size

    def _same(self, manifest: Manifest) -> Entry | None:
        """Return the copy whose manifest is exactly this one, or None."""
        entry = self.store.find(manifest.stage, manifest.key)
        if entry is None:
            return None
        with storage_errors(entry.folder):
            same = entry.path(MANIFEST).read_bytes() == manifest.to_bytes()
        return entry if same else None


def _cache_limit() -> int:
    text = os.environ.get("PDSEARCH_CACHE_GB", "")
    try:
        return max(0, int(float(text) * 2**30)) if text else LIMIT_BYTES
    except (ValueError, OverflowError):
        return LIMIT_BYTES


_DIGITS = 16
_LEASES, _QUARANTINE = ".leases", ".quarantine"


class ObjectStore:
    """A store below a prefix. Invariant: a manifest is written after all of its payload.

    Args:
        root: The prefix.
    """

    poll_s = 1.0

    def __init__(self, root: Remote) -> None:
        self.root = root
        self.cache = NodeCache(cache_folder(root))

    def find(self, stage: str, key: str) -> Entry | None:
        """Return the entry, or None, as `Store.find` does; what was garbled on its way is read once more."""
        content = self._manifest(stage, key)
        if content is None:
            return None
        for last in (False, True):
            try:
                manifest = parse_manifest(content, stage, key, where=str(self._prefix(stage, key)))
                return self.cache.get(manifest, partial(self._fetch, manifest))
            except CorruptError:
                if last:  # Broken only after two reads: the first may have been garbled in transfer.
                    self._quarantine(stage, key, content)
        return None

    def publish(self, stage: str, key: str, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Write an entry on this machine, as `Store.publish` does, and upload it, its manifest last."""
        existing = self.find(stage, key)
        if existing is not None:
            return existing
        self.cache.make_room(0)
        entry = self.cache.store.publish(stage, key, write, meta)
        content = entry.path(MANIFEST).read_bytes()
        manifest = parse_manifest(content, stage, key, where=str(entry.folder))
        for name, _, checksum in manifest.files:
            self._objects.upload(self._payload(manifest, name, checksum), entry.path(name))
        self._objects.put((self._prefix(stage, key) / MANIFEST).path, content)
        return entry

    def lease(self, stage: str, key: str) -> ObjectLease:
        """Return the lease under which this entry is built."""
        self._prefix(stage, key)
        return ObjectLease(self.root / _LEASES / f"{stage}-{key}.json")

    def used(self, stage: str) -> int:
        """Return the size of a stage's entries in bytes."""
        found = self._objects.below((self.root / stage).path, deep=True)
        return sum(item.size or 0 for item in found)

    def holdings(self) -> Iterator[Holding]:
        """Yield every entry, unchecked, in sorted order; payloads without a manifest do not count."""
        entries = self._listed()
        for (stage, key), found in sorted(entries.items()):
            manifest = next((item for item in found if _is_manifest(item)), None)
            if manifest is not None:
                size = sum(item.size or 0 for item in found)
                yield Holding(stage, key, size, manifest.modified)

    def building(self) -> Set[tuple[str, str]]:
        """Return (stage, key) of the entries being built, as far as can be told from here."""
        found = self._objects.get_all(item.path for item in self._leases())
        owned = ((path, parse_owner(content or b"")) for path, content in found)
        names = [_stem(path) for path, owner in owned if owner is not None and not is_dead(owner)]
        return {(stage, key) for stage, _, key in (name.rpartition("-") for name in names)}

    def complaint(self, stage: str, key: str, *, deep: bool = True) -> str | None:
        """Return what is wrong with an entry, or None; see `Store.complaint`."""
        content = self._manifest(stage, key)
        if content is None:
            return None
        try:
            manifest = parse_manifest(content, stage, key, where=str(self._prefix(stage, key)))
        except CorruptError as error:
            return str(error)
        sizes = {item.path: item.size for item in self._below(stage, key)}
        for name, size, checksum in manifest.files:
            path = self._payload(manifest, name, checksum)
            if path not in sizes:
                return f"{name} is missing"
            if sizes[path] != size or (deep and self._objects.checksum(path) != checksum):
                return f"{name} is not what was written"
        return None

    def remove(self, stage: str, key: str) -> bool:
        """Remove an entry, its manifest first; copies in a machine's cache stay readable there."""
        there = self._objects.delete((self._prefix(stage, key) / MANIFEST).path)
        for item in self._below(stage, key):
            self._objects.delete(item.path)
        self.cache.store.remove(stage, key)
        return there

    def leftovers(self) -> list[Path]:
        """Return nothing: objects are written atomically, and a payload without a manifest may still get one."""
        return []

    def sweep(self) -> int:
        """Remove leases of processes that have ended on this machine, and their leftovers in its cache."""
        self.cache.store.sweep()
        here = (Remote(self.root.bucket, item.path, self.root.query) for item in self._leases())
        return sum(discard_object_if_dead(place) for place in here)

    def empty_quarantine(self) -> int:
        """Remove quarantined entries; returns their size in bytes."""
        found = self._objects.below((self.root / _QUARANTINE).path, deep=True)
        for item in found:
            self._objects.delete(item.path)
        return sum(item.size or 0 for item in found)

    @property
    def _objects(self) -> Objects:
        return objects_at(self.root)

    def _prefix(self, stage: str, key: str) -> Remote:
        check_name(stage, key, where=str(self.root))
        return self.root / stage / key[:2] / key

    def _manifest(self, stage: str, key: str) -> bytes | None:
        return self._objects.get((self._prefix(stage, key) / MANIFEST).path)

    def _payload(self, manifest: Manifest, name: str, checksum: str) -> str:
        return (self._prefix(manifest.stage, manifest.key) / f"{checksum[:_DIGITS]}-{name}").path

    def _below(self, stage: str, key: str) -> list[Listed]:
        return self._objects.below(self._prefix(stage, key).path, deep=True)

    def _leases(self) -> list[Listed]:
        return self._objects.below((self.root / _LEASES).path, deep=True)

    def _fetch(self, manifest: Manifest, folder: Path) -> None:
        for name, _, checksum in manifest.files:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if not self._objects.download(self._payload(manifest, name, checksum), file):
                raise CorruptError(f"{name} is missing")

    def _quarantine(self, stage: str, key: str, seen: bytes) -> None:
        if self._manifest(stage, key) != seen:
            return  # It has been published again.
        aside = self.root / _QUARANTINE / f"{stage}-{key}-{uuid.uuid4().hex[:8]}"
        prefix, found = self._prefix(stage, key).path, self._below(stage, key)
        for item in found:
            self._objects.copy(item.path, (aside / item.path.removeprefix(f"{prefix}/")).path)
        # The manifest first, so that a partly removed entry no longer counts as one.
        for item in sorted(found, key=lambda item: not _is_manifest(item)):
            self._objects.delete(item.path)

    def _listed(self) -> dict[tuple[str, str], list[Listed]]:
        entries: dict[tuple[str, str], list[Listed]] = {}
        for item in self._objects.below(self.root.path, deep=True):
            names = item.path.removeprefix(f"{self.root.path}/").split("/")
            if len(names) >= 4 and is_stage(names[0]) and is_key(names[2]):
                entries.setdefault((names[0], names[2]), []).append(item)
        return entries


def _is_manifest(item: Listed) -> bool:
    return item.path.rpartition("/")[2] == MANIFEST


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".json")


ArtifactStore: TypeAlias = Store | ObjectStore


def open_store(place: Place) -> ArtifactStore:
    """Return the artifact store at a place, without accessing the storage yet."""
    return ObjectStore(place) if isinstance(place, Remote) else Store(place)
