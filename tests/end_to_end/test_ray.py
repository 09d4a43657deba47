"""`pdsearch run` on Ray survives a kill, and leaves nothing behind however it ends."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.end_to_end.program import records, run, stop_when, write
from tests.patient import PATIENCE_S

pytestmark = pytest.mark.ray


def left(folder: Path) -> list[str]:
    """Processes that were started in a folder."""
    found = psutil.process_iter(["cwd", "name"])
    return [process.info["name"] for process in found if process.info["cwd"] == str(folder)]


def gone(folder: Path) -> bool:
    """Whether every process of a folder ends within a while."""
    until = time.monotonic() + PATIENCE_S
    while left(folder) and time.monotonic() < until:
        time.sleep(0.2)
    return left(folder) == []


def test_a_run_on_ray_killed_and_run_again(tmp_path: Path, temporary: Path) -> None:
    write(tmp_path, ("trials: 4", "trials: 3"))
    words = ("run", "tiny.yaml", "--workers", "1", "--progress", "lines")
    code, _ = stop_when(tmp_path, signal.SIGKILL, lambda: len(records(tmp_path)) >= 1, *words)
    assert code == -signal.SIGKILL
    before = records(tmp_path)
    assert gone(tmp_path), "Ray ends with the driver"
    assert set(temporary.glob("pds-*")) == set(), "and its folder goes"
    out, log = run(tmp_path, *words, "-v")
    after = records(tmp_path)
    assert before.items() < after.items()
    assert sum(name.startswith("search-") for name in after) == 3
    assert "best configuration" in out
    assert "a Ray of its own on this machine" in log
    assert "Connected to Ray cluster" in log, "Ray's own log, for it was asked for"
    assert "Failed to fetch metrics" not in log, "of trials whose metrics are ours to keep"
    assert set(temporary.glob("pds-*")) == set()
    assert gone(tmp_path)
