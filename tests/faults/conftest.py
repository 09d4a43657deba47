"""Folders for studies that are made and broken hundreds of times."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these tests end processes, not machines, so nothing need reach a disk."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="pdsearch-test-", dir=memory))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
