"""Where results lie: a folder, or a prefix in an object storage such as S3. Bytes only."""

from pdsearch.storage.checking import check
from pdsearch.storage.files import (
    UnfitFileError,
    exists,
    names,
    read,
    read_all,
    remove,
    remove_tree,
    rename,
    replace,
    subfolders,
)
from pdsearch.storage.nodes import beside, cache_folder
from pdsearch.storage.place import Place, Remote, place, resolved
from pdsearch.storage.refusals import StorageAwayError, StorageDeniedError
from pdsearch.storage.url import flaw, is_url
from pdsearch.storage.waiting import telling

__all__ = [
    "Place",
    "Remote",
    "StorageAwayError",
    "StorageDeniedError",
    "UnfitFileError",
    "beside",
    "cache_folder",
    "check",
    "exists",
    "flaw",
    "is_url",
    "names",
    "place",
    "read",
    "read_all",
    "remove",
    "remove_tree",
    "rename",
    "replace",
    "resolved",
    "subfolders",
    "telling",
]
