"""`make test` gives each of its two processes whole files, and all that start Ray to one of them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.patient import PATIENCE_S

COMMAND = re.compile(r"/python -m pytest (-n 2 .*) </dev/null$", re.MULTILINE)
HEAD = "import os, time, pytest"
FIXTURE = "@pytest.fixture(scope='session')\ndef ray_session(): pass"
TESTS = """
@pytest.mark.parametrize("number", range(5))
def test_it(number{more}):
    with open("ran", "a") as file:
        file.write("{name} " + os.environ["PYTEST_XDIST_WORKER"] + "\\n")
    time.sleep(0.02)
"""
QUICK, MARKED, WITH_FIXTURE, SLOW = ("a", "b", "c", "d", "e"), "marked", "with_fixture", "slow"


def made_up(name: str) -> str:
    """A file of five tests that write down which process runs them."""
    if name == WITH_FIXTURE:
        return f"{HEAD}\n{FIXTURE}\n{TESTS.format(name=name, more=', ray_session')}"
    mark = {MARKED: "@pytest.mark.ray", SLOW: "@pytest.mark.slow"}.get(name, "")
    return f"{HEAD}\n{mark}{TESTS.format(name=name, more='')}"


@pytest.fixture
def ran(tmp_path: Path) -> list[tuple[str, str]]:
    """Which file's tests ran in which process, one after another."""
    (tmp_path / "tests").mkdir()
    for name in (
        "pyproject.toml",
        "tests/conftest.py",
        "tests/own_code.py",
        "tests/shares.py",
        "tests/s3_server.py",
    ):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in (*QUICK, MARKED, WITH_FIXTURE, SLOW):
        (tmp_path / "tests" / f"test_{name}.py").write_text(made_up(name))
    (options,) = COMMAND.findall((ROOT / "Makefile").read_text())
    command = [sys.executable, "-m", "pytest", *options.split(), "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "ran").read_text().splitlines()
    return [(name, process) for name, _, process in (line.partition(" ") for line in lines)]


def test_files_stay_whole_ray_in_one_process_and_what_is_slow_comes_first(ran: list[tuple[str, str]]) -> None:
    assert len(ran) == 5 * (len(QUICK) + 3)
    processes = {name: {process for found, process in ran if found == name} for name, _ in ran}
    assert [len(found) for found in processes.values()] == [1] * len(processes)
    assert processes[MARKED] == processes[WITH_FIXTURE]
    firsts = {process: name for name, process in reversed(ran)}
    assert sorted(firsts.values()) == [MARKED, SLOW]
