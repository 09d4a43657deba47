"""Does `pdsearch run` on Ray survive a kill, and leave nothing behind where it ends by itself?"""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.program import records, run, stop_when, write

pytestmark = pytest.mark.ray


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files whose path is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def left(folder: Path) -> list[str]:
    """Processes that were started in a folder; Ray's agents, which do nothing alone, leave a minute later."""
    found = psutil.process_iter(["cwd", "name"])
    names = [process.info["name"] for process in found if process.info["cwd"] == str(folder)]
    return [name for name in names if not name.endswith("Agent")]


def test_a_run_on_ray_killed_and_run_again(tmp_path: Path, temporary: Path) -> None:
    write(tmp_path, ("trials: 4", "trials: 3"))
    words = ("run", "tiny.yaml", "--workers", "1", "--progress", "lines")
    code, _ = stop_when(tmp_path, signal.SIGKILL, lambda: len(records(tmp_path)) >= 1, *words)
    assert code == -signal.SIGKILL
    before = records(tmp_path)
    assert len(list(temporary.glob("pds-*"))) == 1
    out, log = run(tmp_path, *words, "-v")
    after = records(tmp_path)
    assert before.items() < after.items()
    assert sum(name.startswith("search-") for name in after) == 3
    assert "best configuration" in out
    assert "Started a local Ray instance" in log
    assert "Failed to fetch metrics" not in log, "of trials whose metrics are ours to keep"
    assert set(temporary.glob("pds-*")) == set(), "the killed run's folder goes too"
    until = time.monotonic() + 20
    while left(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert left(tmp_path) == []
