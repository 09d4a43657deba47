from pathlib import Path

import pytest

from pdsearch.stages.site import Site
from tests.stages.digits import site


@pytest.fixture
def here(tmp_path: Path) -> Site:
    """A worker at an empty store."""
    return site(tmp_path)
