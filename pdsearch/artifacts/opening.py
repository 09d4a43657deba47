"""Choice of the artifact store for a place: a folder or an object storage."""

from pdsearch.artifacts.base import KeptStore
from pdsearch.artifacts.local_store import Store
from pdsearch.artifacts.object_store import ObjectStore
from pdsearch.io import Place, Remote


def open_store(place: Place) -> KeptStore:
    """Return the artifact store at a place, without accessing the storage yet."""
    return ObjectStore(place) if isinstance(place, Remote) else Store(place)
