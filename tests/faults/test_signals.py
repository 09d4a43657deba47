"""Asked to stop, a run ends soon, with its own exit code, and leaves no process and no temporary folder."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from pdsearch.invariants import check_invariants
from tests.end_to_end.program import begin, stop_when, write
from tests.end_to_end.test_ray import left, temporary

__all__ = ["temporary"]

LONG = ("distill: {epochs: 2", "distill: {epochs: 80")
ONE = (LONG, ("trials: 4", "trials: 1"), ("{teachers: 1, seeds: 1}", "off"))
ON_RAY = ("run", "tiny.yaml", "--workers", "1", "--progress", "lines")
SERIALLY = ("run", "tiny.yaml", "--serial", "--progress", "lines")

SLOW = """
import time
from pathlib import Path
from torch.nn import functional as F


def loss(student, teacher, targets, params):
    Path("teaching").touch()
    time.sleep(0.5)
    return F.cross_entropy(student.logits, targets)
"""
"""An epoch of it takes five seconds, so that a run cannot be drained before it is told to stop at once."""


def asked(folder: Path) -> bool:
    return any((folder / "runs").rglob("search-00000.asked.json"))


def temporaries(folder: Path) -> list[str]:
    """What was left in a folder for temporary files, but for PyTorch's cache, one for all processes of a user."""
    return [path.name for path in folder.iterdir() if not path.name.startswith("torchinductor_")]


def gone(folder: Path) -> bool:
    """Whether every process of a folder ends within a while."""
    until = time.monotonic() + 15
    while left(folder) and time.monotonic() < until:
        time.sleep(0.2)
    return left(folder) == []


@pytest.mark.ray
def test_sigterm_drains_a_run_on_ray(tmp_path: Path, temporary: Path) -> None:
    write(tmp_path, *ONE)
    began = time.monotonic()
    code, said = stop_when(tmp_path, signal.SIGTERM, lambda: asked(tmp_path), *ON_RAY)
    assert code == 143, said
    assert "Traceback" not in said
    assert "run the same command to go on" in said
    assert time.monotonic() - began < 60
    assert temporaries(temporary) == []
    assert gone(tmp_path)
    assert {item.rule for item in check_invariants(tmp_path / "runs" / "tiny")} <= {"running"}


def typed(process: "subprocess.Popen[str]") -> None:
    """Send what a terminal sends at Ctrl-C: a signal to the program and to all that it has started."""
    os.killpg(process.pid, signal.SIGINT)


def wait(seconds: float, until: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.01)


def read_up_to(words: str, stream: IO[str]) -> None:
    said = ""
    for line in stream:
        said += line
        if words in line:
            return
    raise AssertionError(said)


@pytest.mark.parametrize("words", [pytest.param(ON_RAY, marks=pytest.mark.ray), SERIALLY])
def test_a_second_ctrl_c_ends_at_once_and_a_third_changes_nothing(
    words: tuple[str, ...], tmp_path: Path, temporary: Path
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    write(
        tmp_path,
        *ONE,
        ("{loss: kd}", '{loss: "slow:loss"}'),
        ("  distill.temperature: {low: 1, high: 20, log: true}\n", ""),
    )
    with begin(tmp_path, *words, own_group=True) as process:
        assert process.stderr is not None
        wait(60, lambda: asked(tmp_path))
        (tmp_path / "teaching").unlink(missing_ok=True)  # The loss was tried before anything was trained.
        wait(60, (tmp_path / "teaching").exists)
        typed(process)
        read_up_to("stopping: running trials", process.stderr)
        asked_to_end = time.monotonic()
        typed(process)
        read_up_to("stopping at once", process.stderr)
        typed(process)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "go on from their last checkpoint" in said
    assert time.monotonic() - asked_to_end < 30
    assert temporaries(temporary) == []
    assert gone(tmp_path)
    assert {item.rule for item in check_invariants(tmp_path / "runs" / "tiny")} <= {"running"}
