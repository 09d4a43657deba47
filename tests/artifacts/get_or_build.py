"""A payload found or built in one call, as the tests of stores want it."""

from collections.abc import Callable
from pathlib import Path

from pdsearch.artifacts import ArtifactStore, Entry, building
from pdsearch.specs import Json


def get_or_build(
    store: ArtifactStore, stage: str, key: str, build: Callable[[Path], dict[str, Json]]
) -> tuple[Entry, bool]:
    """Return the entry, and whether it was there already; build it if nobody has.

    Args:
        store: Where the entry goes.
        stage: Name of the stage.
        key: Key of the entry.
        build: Called with an empty folder; puts the payload there and returns the entry's meta.

    Raises:
        StorageError: The storage cannot be read or written.
    """
    with building(store, stage, key) as turn:
        for _ in turn.wait():
            continue
        if turn.entry is not None:
            return turn.entry, True
        meta: dict[str, Json] = {}
        return turn.publish(lambda folder: meta.update(build(folder)), meta), False
