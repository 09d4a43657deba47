import shutil
from pathlib import Path

import pytest

from tests.faults import scripted_study


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    scripted_study.run(scripted_study.space(folder))
    return folder


@pytest.fixture
def study(made: Path, root: Path) -> Path:
    """The folder of a finished study, its own copy."""
    shutil.copytree(made, root / "runs")
    return root / "runs" / "study"
