"""The program at work in a folder of its own, for campaigns of faults: started, looked at, its remains counted."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.campaign import finished
from pdsearch.io import Place, entry_names, place

SPACE = """
study: killed
data: {source: digits, val_fraction: 0.2, subset: 400}
teacher: {model: convnet_s, seed: 0}
student: {model: convnet_s}
train:
  teacher: {epochs: 2, lr: 0.05, batch_size: 16}
  recover: {epochs: 1, lr: 0.05, batch_size: 16}
  distill: {epochs: 80, lr: 0.05, batch_size: 16}
distill: {loss: kd}
space:
  prune.method: [none, magnitude]
  prune.ratio: {choices: [0.2, 0.36], when: {prune.method: [magnitude]}}
  distill.temperature: {low: 1, high: 20, log: true}
search: {trials: 100000, seed: 0, max_failures: 0}
storage: runs
"""

_ENDED_S = 90
"""Ray's agents, which do nothing alone, leave a minute after their Ray."""


class Program:
    """A search that would go on for days, and what it has on its storage.

    Args:
        folder: Where it is started; temporary files go below.
        storage: A path or a URL.
        epochs: Of a student; more make a trial longer than a checkpoint's interval.
        space: What is searched, with 80 epochs and the storage `runs`, which are replaced.
    """

    def __init__(self, folder: Path, storage: str, *, epochs: int = 80, space: str = SPACE) -> None:
        base, mark, query = storage.partition("?")
        self.folder, self.said = folder, folder / "said.txt"
        self.study: Place = place(f"{base}/killed{mark}{query}")
        (folder / "tmp").mkdir(exist_ok=True)
        searched = space.replace("storage: runs", f'storage: "{storage}"').replace(
            "epochs: 80", f"epochs: {epochs}"
        )
        (folder / "space.yaml").write_text(searched)

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start it, on two workers unless the words say --serial; what it says begins anew."""
        how = () if "--serial" in words else ("--workers", "2")
        command = [sys.executable, "-m", "pdsearch", "run", "space.yaml", *how, *words]
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp"), "RAY_ADDRESS": ""}
        with self.said.open("wb") as said:
            return subprocess.Popen(command, cwd=self.folder, stdout=said, stderr=said, env=environment)

    def finished(self) -> dict[str, dict[str, Any]]:
        """Return the finished records by name."""
        return finished(self.study)

    def end(self, *words: str) -> int:
        """Let it find two trials more and end; return the exit code."""
        return self.start("--set", f"search.trials={len(self.finished()) + 2}", *words).wait()

    def asked(self) -> int:
        """Count the search's trials asked for so far."""
        found = entry_names(self.study / "trials")
        return sum(name.startswith("search-") and name.endswith(".asked.json") for name in found)

    def lines(self, word: str) -> int:
        """Count the lines of what was said that hold a word."""
        return sum(word in line for line in self.said.read_text(errors="replace").splitlines())

    def left(self) -> list[str]:
        """Return what is left of a run that has ended: processes of the folder, temporary files."""
        until = time.monotonic() + _ENDED_S
        while time.monotonic() < until and any(self._processes()):
            time.sleep(0.5)
        files = (path.name for path in (self.folder / "tmp").iterdir())
        # PyTorch's cache is one for all processes of a user.
        return [*self._processes(), *(name for name in files if not name.startswith("torchinductor_"))]

    def _processes(self) -> list[str]:
        found = psutil.process_iter(["cwd", "name"])
        return [str(each.info["name"]) for each in found if each.info["cwd"] == str(self.folder)]


def wait(seconds: float, until: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Wait for something while the program runs.

    Raises:
        SystemExit: The program has ended, or the time is over.
    """
    end = time.monotonic() + seconds
    while not until():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the program did not get on (exit code {process.poll()})")
        time.sleep(0.2)
