"""Single-flight building of entries: the first process builds, the others wait."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pdsearch.artifacts.base import Entry
from pdsearch.specs import Json

if TYPE_CHECKING:
    from pdsearch.artifacts.object_store import ArtifactStore


class Turn:
    """One process's attempt to get an entry. Invariant: after `wait`, `entry` is set or this process holds the lease.

    Attributes:
        entry: The entry, once it was found or published.
        hit: Whether the entry existed already, or was built by another process.
    """

    def __init__(self, store: "ArtifactStore", stage: str, key: str) -> None:
        self._store, self._name = store, (stage, key)
        self._lease = store.lease(stage, key)
        self.entry: Entry | None = store.find(stage, key)
        self.hit = self.entry is not None

    def wait(self) -> Iterator[float]:
        """Yield the seconds waited so far, every `store.poll_s`, until the entry exists or the lease is acquired."""
        start = time.monotonic()
        while self.entry is None and not self._lease.try_acquire():
            time.sleep(self._store.poll_s)
            yield time.monotonic() - start
            self._look()
        # The last owner may have published between our check and its release of the lease.
        if self.entry is None:
            self._look()

    def publish(self, write: Callable[[Path], None], meta: dict[str, Json]) -> Entry:
        """Publish the entry that was built; see `Store.publish`."""
        self.entry = self._store.publish(*self._name, write, meta)
        return self.entry

    def close(self) -> None:
        """Release the lease."""
        self._lease.release()

    def _look(self) -> None:
        self.entry = self._store.find(*self._name)
        self.hit = self.entry is not None


@contextmanager
def building(store: "ArtifactStore", stage: str, key: str) -> Iterator[Turn]:
    """Find an entry, wait for it, or get the lease to build it; for stages that are generators.

    with building(store, "teacher", key) as turn:
        for seconds in turn.wait():
            yield Progress("teacher", note="another worker trains it")
        if turn.entry is None:
            yield from fit(...)
            turn.publish(write, meta)

    Closing the generator at any point releases the lease.

    Args:
        store: The store of the entry.
        stage: Name of the stage.
        key: Key of the entry.
    """
    turn = Turn(store, stage, key)
    try:
        yield turn
    finally:
        turn.close()
