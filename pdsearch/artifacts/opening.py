"""Which store belongs to a place? A folder has one kind, an object storage the other."""

from pdsearch.artifacts.interface import KeptStore
from pdsearch.artifacts.object_store import ObjectStore
from pdsearch.artifacts.store import Store
from pdsearch.storage import Place, Remote

__all__ = ["open_store"]


def open_store(place: Place) -> KeptStore:
    """Return the store of artifacts at a place; nothing is asked of the storage yet."""
    return ObjectStore(place) if isinstance(place, Remote) else Store(place)
