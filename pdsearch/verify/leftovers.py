"""Rule of temporary files: no half-written ones are left behind."""

from collections.abc import Iterator

from pdsearch.artifacts import is_orphan, open_store
from pdsearch.io import Place, Remote
from pdsearch.verify.broken import Breach


def check(folder: Place, *, live: bool) -> Iterator[Breach]:
    """Check a study's folder, its storage's artifacts and progress for files that no live process will finish."""
    # Objects are written atomically: only folders can contain half-written files.
    hidden = [] if isinstance(folder, Remote) else [*folder.glob(".*"), *folder.glob("trials/.*")]
    for path in hidden:
        if is_orphan(path.name) or (path.suffix == ".tmp" and not live):
            yield Breach("temporaries", "was being written when a run was cut off", str(path), mended=True)
    for path in open_store(folder.parent / "artifacts").leftovers():
        yield Breach("temporaries", "was being written by a process that is gone", str(path), mended=True)
