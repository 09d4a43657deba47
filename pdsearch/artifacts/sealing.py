"""How does a folder being written become an entry? Hash, sync, write-protect, manifest, then one rename."""

import errno
from pathlib import Path

from pdsearch.artifacts.manifest import MANIFEST, Manifest, describe, payload_files
from pdsearch.durable import sync_file, sync_folder, write_new
from pdsearch.specs import Json

__all__ = ["move_into_place", "seal"]


def seal(stage: str, key: str, draft: Path, meta: dict[str, Json]) -> Manifest:
    """Write the manifest of a folder and return when all of it is on the disk."""
    # The draft got its mode from the umask; payload files get the same readers, and no writer.
    mode = draft.stat().st_mode & 0o444
    manifest = describe(stage, key, draft, meta)
    write_new(draft / MANIFEST, manifest.to_bytes())
    for path in [draft / MANIFEST, *(path for _, path in payload_files(draft))]:
        sync_file(path)
        path.chmod(mode)
    for folder in {draft, *(path.parent for _, path in payload_files(draft))}:
        sync_folder(folder)
    return manifest


def move_into_place(draft: Path, target: Path) -> bool:
    """Rename a sealed folder to its place; False if something stands there already."""
    if not target.parent.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(target.parent.parent)
        sync_folder(target.parent.parent.parent)
    try:
        draft.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True
