from pathlib import Path

import pytest

from pdsearch.pipeline.context import Site
from tests.pipeline.digits import site


@pytest.fixture
def here(tmp_path: Path) -> Site:
    """A worker at an empty store."""
    return site(tmp_path)
