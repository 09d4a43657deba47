"""File access for results in a folder or below a prefix of an object storage such as S3."""

from pdsearch.io.durable import UnfitFileError
from pdsearch.io.files import (
    check,
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
from pdsearch.io.place import Place, Remote, beside, cache_folder, is_url, place, resolved
from pdsearch.io.refusals import StorageAwayError, StorageDeniedError, telling

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
