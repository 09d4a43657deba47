"""Results of stages, kept by content: keys, the store, leases, single flight."""

from pdsearch.artifacts.drafts import draft_name, is_orphan
from pdsearch.artifacts.holding import check_held, hold, lease_at
from pdsearch.artifacts.interface import AnyLease, ArtifactStore, Entry, Holding, KeptStore
from pdsearch.artifacts.keys import stage_key
from pdsearch.artifacts.lease import Lease
from pdsearch.artifacts.object_lease import ObjectLease
from pdsearch.artifacts.object_store import ObjectStore
from pdsearch.artifacts.opening import open_store
from pdsearch.artifacts.owner import is_dead
from pdsearch.artifacts.single_flight import Turn, building
from pdsearch.artifacts.store import Store

__all__ = [
    "AnyLease",
    "ArtifactStore",
    "Entry",
    "Holding",
    "KeptStore",
    "Lease",
    "ObjectLease",
    "ObjectStore",
    "Store",
    "Turn",
    "building",
    "check_held",
    "draft_name",
    "hold",
    "is_dead",
    "is_orphan",
    "lease_at",
    "open_store",
    "stage_key",
]
