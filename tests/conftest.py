import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.own_code import Author
from tests.s3_server import S3Server, environment
from tests.shares import Shares, longest_first

# Tests train tiny networks, often several at once: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Whatever cluster the person who runs them works with, tests start Rays of their own.
os.environ.pop("RAY_ADDRESS", None)

# On a busy machine any example may take long; pytest's timeout ends what hangs.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# nohup has SIGHUP ignored, also by the programs that tests start; a handler outlives the terminal and goes to none.
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Undo what a run that was stopped does to its process: it hears no signal any more."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler or signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Shares | None:
    """Hand out tests as tests/shares.py says, for `--dist loadfile`."""
    return Shares(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest where tests are handed out; in a single process they keep their order."""
    if hasattr(config, "workerinput"):
        longest_first(items)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server on loopback, for all tests that ask for it."""
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket's name; this process may use it, and keeps what it must on disk in the test's folder."""
    for name, value in environment(str(tmp_path)).items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.make_bucket(name)
    return name


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    """An author at work in the current folder, of which nothing stays importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    known = {*sys.modules}
    yield Author(tmp_path)
    for name in {*sys.modules} - known:
        if name.startswith("own_code_"):
            del sys.modules[name]


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


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files whose path is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
