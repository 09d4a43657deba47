"""Bounded local cache of entries from an object storage, shared by the processes of this machine."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pdsearch.artifacts.base import Entry
from pdsearch.artifacts.build_once import building
from pdsearch.artifacts.local_store import Store
from pdsearch.artifacts.manifest import MANIFEST, Manifest
from pdsearch.io.durable import storage_errors

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
        self.limit_bytes = _limit()  # Of their total size; exceeded only by copies in use.

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


def _limit() -> int:
    text = os.environ.get("PDSEARCH_CACHE_GB", "")
    try:
        return max(0, int(float(text) * 2**30)) if text else LIMIT_BYTES
    except (ValueError, OverflowError):
        return LIMIT_BYTES
