"""File access for results in a folder or below a prefix of an object storage such as S3."""

from pdsearch.io.durable import UnfitFileError
from pdsearch.io.files import (
    check_usable,
    check_writable,
    entry_names,
    exists,
    read,
    read_all,
    remove,
    remove_tree,
    rename,
    replace,
    subfolders,
)
from pdsearch.io.place import Place, Remote, cache_folder, is_url, local_folder, place, resolved
from pdsearch.io.refusals import StorageAwayError, StorageDeniedError, reporting_to
