from pathlib import Path

import pytest

from pdsearch.pipeline.context import WorkerContext
from tests.pipeline.digits import site


@pytest.fixture
def here(tmp_path: Path) -> WorkerContext:
    """A worker at an empty store."""
    return site(tmp_path)
