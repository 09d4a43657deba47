"""The program as a person starts it, in a folder of its own, with a space that takes seconds."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pdsearch.cli.main import main
from tests.patient import PATIENCE_S

ROOT = Path(__file__).parents[2]


SPACE = """\
study: tiny
data: {source: digits, val_fraction: 0.2, subset: 200}
teacher: {model: convnet_s, seed: 0}
student: {model: convnet_s}
train:
  teacher: {epochs: 2, lr: 0.05, batch_size: 16}
  recover: {epochs: 1, lr: 0.05, batch_size: 16}
  distill: {epochs: 2, lr: 0.05, batch_size: 16}
prune: {schedule: geometric, recovery: lr_rewind}
distill: {loss: kd}
space:
  prune.method: [none, magnitude]
  prune.ratio: {choices: [0.2, 0.36], when: {prune.method: [magnitude]}}
  distill.temperature: {low: 1, high: 20, log: true}
search: {trials: 4, seed: 0}
confirm: {teachers: 1, seeds: 1}
storage: runs
"""


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the space, with some of its text replaced."""
    text = SPACE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """As of a person who has not set anything of ours or of Ray's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "TUNE_", "PDSEARCH_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT)}


def call(folder: Path, *words: str, code: int = 0) -> tuple[str, str]:
    """Run the command line in this process, which has loaded everything already; return stdout and stderr."""
    out, error = io.StringIO(), io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stdout(out), redirect_stderr(error):
            found = main(words)
    finally:
        os.chdir(before)
    assert found == code, error.getvalue()
    return out.getvalue(), error.getvalue()


def begin(folder: Path, *words: str, own_group: bool = False) -> "subprocess.Popen[str]":
    """Start the program and return at once; in a group of processes of its own, as a shell does, if asked."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # Tests that a shell started beside its own work.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "pdsearch", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=own_group,
    )


def run(folder: Path, *words: str, code: int = 0) -> tuple[str, str]:
    """Run the program to its end; return its stdout and stderr."""
    with begin(folder, *words) as process:
        out, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, error
    assert "Traceback" not in error
    return out, error


def records(folder: Path, study: str = "tiny") -> dict[str, bytes]:
    """The finished records of a study, by file name."""
    trials = folder / "runs" / study / "trials"
    return {path.name: path.read_bytes() for path in sorted(trials.glob("*.finished.json"))}


def stop_when(folder: Path, number: int, seen: Callable[[], bool], *words: str) -> tuple[int, str]:
    """Start the program and send it a signal as soon as something is seen; return its exit code and stderr."""
    with begin(folder, *words) as process:
        until = time.monotonic() + PATIENCE_S
        while not seen() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        assert process.poll() is None, process.communicate()[1]
        process.send_signal(signal.Signals(number))
        _, error = process.communicate(timeout=PATIENCE_S)
    return process.returncode, error
