"""The store that belongs to a place: one kind for a folder, another for an object storage."""

from pdsearch.artifacts.base import KeptStore
from pdsearch.artifacts.local_store import Store
from pdsearch.artifacts.object_store import ObjectStore
from pdsearch.io import Place, Remote

__all__ = ["open_store"]


def open_store(place: Place) -> KeptStore:
    """Return the store of artifacts at a place; nothing is asked of the storage yet."""
    return ObjectStore(place) if isinstance(place, Remote) else Store(place)
