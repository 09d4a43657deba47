"""Asked to stop, a run ends soon, with its own exit code, and leaves no process and no temporary folder."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

from pdsearch.search.verify import check_invariants
from tests.end_to_end.program import begin, run, write
from tests.patient import PATIENCE_S, until

LONG = ("distill: {epochs: 2", "distill: {epochs: 300")
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


def left(folder: Path) -> list[str]:
    """Processes that were started in a folder."""
    found = psutil.process_iter(["cwd", "name"])
    return [process.info["name"] for process in found if process.info["cwd"] == str(folder)]


def asked(folder: Path) -> bool:
    return any((folder / "runs").rglob("search-00000.asked.json"))


def temporaries(folder: Path) -> list[str]:
    """What was left in a folder for temporary files, but for PyTorch's cache, one for all processes of a user."""
    return [path.name for path in folder.iterdir() if not path.name.startswith("torchinductor_")]


def ended_well(folder: Path, temporary: Path) -> None:
    """What is true of a run that was asked to stop, whoever asked it."""
    until(lambda: left(folder) == [], pause=0.2)
    assert temporaries(temporary) == []
    assert {item.rule for item in check_invariants(folder / "runs" / "tiny")} <= {"running"}


def to_group(process: "subprocess.Popen[str]", number: int) -> None:
    """As `timeout` does: to the program, and again with all that is in its group."""
    process.send_signal(number)
    os.killpg(process.pid, number)


def to_all(process: "subprocess.Popen[str]", number: int) -> None:
    """As Slurm and systemd do: to every process that the program has started, wherever it went."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.send_signal(number)
    process.send_signal(number)


@pytest.mark.parametrize(
    ("words", "number", "send", "code"),
    [
        pytest.param(ON_RAY, signal.SIGTERM, to_all, 143, marks=pytest.mark.ray),
        (SERIALLY, signal.SIGHUP, to_group, 129),
    ],
    ids=["on Ray", "serially"],
)
def test_a_signal_drains_a_run_whoever_else_hears_it_and_it_goes_on(
    words: tuple[str, ...],
    number: int,
    send: Callable[["subprocess.Popen[str]", int], None],
    code: int,
    tmp_path: Path,
    temporary: Path,
) -> None:
    write(tmp_path, *ONE)
    with begin(tmp_path, *words, own_group=True) as process:
        until(lambda: any((tmp_path / "runs" / "progress").glob("*/*")) or gave_up(process))
        send(process, number)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert "stopping: running trials save their progress" in said
    assert "to go on: pdsearch run" in said
    assert any((tmp_path / "runs" / "progress").glob("*/*"))
    assert "*** " not in said, "no stack of Ray's core"
    ended_well(tmp_path, temporary)
    if words is ON_RAY:
        out, log = run(tmp_path, *words, "-v")
        assert "go on searching" in out
        assert "a Ray of its own on this machine" in log
        assert "Connected to Ray cluster" in log, "Ray's own log, for it was asked for"
        assert "Failed to fetch metrics" not in log, "of trials whose metrics are ours to keep"
        assert not any((tmp_path / "runs" / "progress").glob("*/*"))
        ended_well(tmp_path, temporary)


@pytest.mark.ray
def test_a_signal_while_ray_starts_ends_it(tmp_path: Path, temporary: Path) -> None:
    write(tmp_path, *ONE)
    with begin(tmp_path, *ON_RAY, own_group=True) as process:
        until(lambda: any(temporary.glob("pds-*/start.log")) or gave_up(process))
        to_group(process, signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, said
    assert "to go on: pdsearch run" in said
    assert "a Ray of its own" not in said
    ended_well(tmp_path, temporary)


def gave_up(process: "subprocess.Popen[str]") -> bool:
    """Fail with what a program said that has ended by itself."""
    assert process.poll() is None, process.communicate()[1]
    return False


def typed(process: "subprocess.Popen[str]") -> None:
    """Send what a terminal sends at Ctrl-C: a signal to the program and to all that it has started."""
    os.killpg(process.pid, signal.SIGINT)


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
        until(lambda: asked(tmp_path))
        (tmp_path / "teaching").unlink(missing_ok=True)  # The loss was tried before anything was trained.
        until((tmp_path / "teaching").exists)
        typed(process)
        read_up_to("stopping: running trials", process.stderr)
        typed(process)
        read_up_to("stopping at once", process.stderr)
        typed(process)
        said = process.stderr.read()  # Not by `communicate`, which leaves out what the stream has read ahead.
        process.wait(PATIENCE_S)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "go on from their last checkpoint" in said
    ended_well(tmp_path, temporary)
