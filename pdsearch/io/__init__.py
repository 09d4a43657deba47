"""File access for results in a folder or below a prefix of an object storage such as S3."""

from pdsearch.io.checking import check
from pdsearch.io.durable import UnfitFileError
from pdsearch.io.files import (
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
from pdsearch.io.nodes import beside, cache_folder
from pdsearch.io.place import Place, Remote, place, resolved
from pdsearch.io.refusals import StorageAwayError, StorageDeniedError
from pdsearch.io.url import flaw, is_url
from pdsearch.io.waiting import telling

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
