"""Stores of stage results by key, with leases so that each result is built once."""

from pdsearch.artifacts.base import Entry, Holding, stage_key
from pdsearch.artifacts.build_once import building
from pdsearch.artifacts.file_lease import Lease
from pdsearch.artifacts.local_store import Store
from pdsearch.artifacts.object_lease import AnyLease, ObjectLease, check_lease_held, hold, lease_at
from pdsearch.artifacts.object_store import ArtifactStore, ObjectStore, open_store
from pdsearch.artifacts.owner import draft_name, is_dead, is_orphan
