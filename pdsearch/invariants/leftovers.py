"""Has anybody left half-written files behind?"""

from collections.abc import Iterator
from pathlib import Path

from pdsearch.artifacts import Store, is_orphan
from pdsearch.invariants.broken import Broken

__all__ = ["check"]


def check(folder: Path, *, live: bool) -> Iterator[Broken]:
    """Check a study's folder, its storage's artifacts and progress for what no living process will finish."""
    hidden = [*folder.glob(".*"), *folder.glob("trials/.*")]
    for path in hidden:
        if is_orphan(path.name) or (path.suffix == ".tmp" and not live):
            yield Broken("temporaries", "was being written when a run was cut off", str(path), mended=True)
    for path in Store(folder.parent / "artifacts").leftovers():
        yield Broken("temporaries", "was being written by a process that is gone", str(path), mended=True)
