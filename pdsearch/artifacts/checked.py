"""Which entries are known to be whole? Those hashed or written here, whose files have not changed since."""

from pathlib import Path

from pdsearch.artifacts.manifest import CorruptError, Manifest, Signature, read_manifest, signature, verify

__all__ = ["Checked"]


class Checked:
    """What one process has checked. Invariant: an entry's signature was taken before its content was read."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[Signature, Manifest]] = {}

    def known(self, stage: str, key: str, folder: Path) -> Manifest | None:
        """Return the manifest of an entry that was checked before and is unchanged; nothing is read."""
        seen = self._seen.get((stage, key))
        if seen is None:
            return None
        before, manifest = seen
        try:
            return manifest if signature(folder, manifest) == before else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def check(self, stage: str, key: str, folder: Path) -> Manifest:
        """Read and hash all of an entry.

        Raises:
            CorruptError: It is not what was published.
            StorageError: It is whole, but of a format this version does not know.
        """
        manifest = read_manifest(folder, stage, key)
        try:
            # Taken before hashing: a change while we hash shows as another signature later.
            before = signature(folder, manifest)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CorruptError("a file is missing") from error
        verify(folder, manifest)
        self._seen[stage, key] = (before, manifest)
        return manifest

    def trust(self, manifest: Manifest, folder: Path) -> None:
        """Take an entry as checked that this process has just hashed and moved to its place."""
        self._seen[manifest.stage, manifest.key] = (signature(folder, manifest), manifest)

    def forget(self, stage: str, key: str) -> None:
        """Hear that an entry is gone."""
        self._seen.pop((stage, key), None)
