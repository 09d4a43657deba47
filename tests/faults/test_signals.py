"""Asked to stop, a run ends soon, with its own exit code, and leaves no process and no temporary folder."""

import signal
import time
from pathlib import Path

import pytest

from pdsearch.invariants import check_invariants
from tests.end_to_end.program import begin, stop_when, write
from tests.end_to_end.test_ray import left, temporary

__all__ = ["temporary"]

LONG = ("distill: {epochs: 2", "distill: {epochs: 80")


def asked(folder: Path) -> bool:
    return any((folder / "runs").rglob("search-00000.asked.json"))


@pytest.mark.ray
def test_sigterm_drains_a_run_on_ray(tmp_path: Path, temporary: Path) -> None:
    write(tmp_path, LONG, ("trials: 4", "trials: 1"), ("{teachers: 1, seeds: 1}", "off"))
    words = ("run", "tiny.yaml", "--workers", "1", "--progress", "lines")
    began = time.monotonic()
    code, said = stop_when(tmp_path, signal.SIGTERM, lambda: asked(tmp_path), *words)
    assert code == 143, said
    assert "Traceback" not in said
    assert "run the same command to go on" in said
    assert time.monotonic() - began < 60
    assert list(temporary.glob("pds-*")) == []
    until = time.monotonic() + 15
    while left(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert left(tmp_path) == []
    assert {item.rule for item in check_invariants(tmp_path / "runs" / "tiny")} <= {"running"}


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    write(tmp_path, LONG, ("trials: 4", "trials: 1"), ("{teachers: 1, seeds: 1}", "off"))
    with begin(tmp_path, "run", "tiny.yaml", "--serial", "--progress", "lines") as process:
        until = time.monotonic() + 60
        while not asked(tmp_path) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert {item.rule for item in check_invariants(tmp_path / "runs" / "tiny")} <= {"running"}
