from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pdsearch.stages.site import Site
from tests.stages.digits import site


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def here(tmp_path: Path) -> Site:
    """A worker at an empty store."""
    return site(tmp_path)
