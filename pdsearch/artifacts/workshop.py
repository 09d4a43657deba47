"""What is being made in a store's folder, by whom, and what will nobody finish? Drafts and leases."""

import shutil
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pdsearch.artifacts.drafts import draft_name, is_orphan
from pdsearch.artifacts.lease import Lease, discard_if_dead
from pdsearch.artifacts.owner import is_dead
from pdsearch.durable import storage_errors
from pdsearch.storage import subfolders

__all__ = ["Workshop"]


@dataclass(frozen=True)
class Workshop:
    """The part of a store's folder where entries are made.

    Args:
        root: The store's folder.
    """

    root: Path

    @property
    def drafts(self) -> Path:
        """Folder of what is being written."""
        return self.root / ".tmp"

    @property
    def leases(self) -> Path:
        """Folder of what says who is building what."""
        return self.root / ".leases"

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Give a folder to write in; whatever is left in it afterwards is removed."""
        draft = self.drafts / draft_name()
        with storage_errors(draft):
            try:
                draft.parent.mkdir(parents=True, exist_ok=True)
                draft.mkdir()
                yield draft
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def lease(self, stage: str, key: str) -> Lease:
        """Return the lease under which an entry is built."""
        return Lease(self.leases / f"{stage}-{key}.json")

    def building(self) -> Set[tuple[str, str]]:
        """Return (stage, key) of what is being built, as far as can be told from here."""
        found = set()
        for path in self._lease_files():
            owner = Lease(path).owner()
            if owner is not None and not is_dead(owner):
                stage, _, key = path.stem.rpartition("-")
                found.add((stage, key))
        return found

    def leftovers(self, older_than_s: float) -> list[Path]:
        """Return what was being written, built or moved by processes that have ended.

        Args:
            older_than_s: Seconds since the last change, by the storage's clock, after which a draft counts as left by a
                process of another machine; well above the longest build.
        """
        drafts = [self.drafts / name for name in subfolders(self.drafts)]
        found = [item for item in drafts if is_orphan(item.name)]
        with storage_errors(self.leases):
            found += [item for item in self.leases.glob(".*") if is_orphan(item.name)]
            known = [item for item in drafts if item not in found]
            if known:
                now = _now(self.drafts)
                found += [item for item in known if now - item.stat().st_mtime > older_than_s]
        return found

    def sweep(self, older_than_s: float) -> int:
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
        return len(gone) + sum(discard_if_dead(path) for path in self._lease_files())

    def _lease_files(self) -> Iterator[Path]:
        return self.leases.glob("[!.]*.json")


def _now(folder: Path) -> float:
    """Return the time by the storage's clock."""
    probe = folder / draft_name()
    probe.mkdir()
    try:
        return probe.stat().st_mtime
    finally:
        probe.rmdir()
