"""One Ray for all tests: to start it takes longer than all they do with it."""

import os
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pdsearch.cluster.connection.session import Session


@pytest.fixture(scope="session")
def ray_session() -> Iterator["Session"]:
    """A Ray of this machine with one slot; at the end nothing of it is left."""
    from pdsearch.cluster.connection.session import session

    before = dict(os.environ)
    with session(cpu=1, gpu=0, workers=1, verbose=False) as started:
        yield started
    assert started.folder is not None
    assert not started.folder.exists()
    changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
    # Ray sets one of its own and leaves it.
    assert {name for name in changed if name.startswith(("RAY_", "TUNE_"))} <= {"RAY_CLIENT_MODE"}


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """The drivers of a test, ended with it."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for driver in found:
        driver.kill()
        driver.wait()
