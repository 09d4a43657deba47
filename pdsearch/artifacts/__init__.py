"""Results of stages, kept by content: keys, the store, leases, single flight, and write-once records."""

from pdsearch.artifacts.drafts import draft_name, is_orphan
from pdsearch.artifacts.interface import ArtifactStore, Entry
from pdsearch.artifacts.keys import stage_key
from pdsearch.artifacts.lease import Lease, hold
from pdsearch.artifacts.owner import is_dead
from pdsearch.artifacts.single_flight import Turn, building, get_or_build
from pdsearch.artifacts.store import Store
from pdsearch.records import Broken, Records, read_records, write_once

__all__ = [
    "ArtifactStore",
    "Broken",
    "Entry",
    "Lease",
    "Records",
    "Store",
    "Turn",
    "building",
    "draft_name",
    "get_or_build",
    "hold",
    "is_dead",
    "is_orphan",
    "read_records",
    "stage_key",
    "write_once",
]
