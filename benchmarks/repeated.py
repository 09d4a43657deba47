"""Training repeated when a worker is killed: SIGKILL to one of two workers on Ray, at drawn moments.

A user's own student (`counting_student.py`) notes every step it trains. When another worker resumes a killed trial,
the number of its first step says which of the dead worker's steps are trained again; their time is what the kill cost.
Epochs last about as long as a checkpoint's interval, so that most go on from the middle of one. The promise: 10 s and
one step. The time until somebody goes on is told apart: nothing is trained twice in it.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import counting_student as counted
from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.kills import START_S, within, workers_of
from benchmarks.program import Program, wait

SPACE = """
study: killed
data: {source: digits, val_fraction: 0.2}
teacher: {model: convnet_s, seed: 0}
student: {model: "counting_student:Counted"}
train:
  teacher: {epochs: 1, lr: 0.05}
  distill: {epochs: 4, lr: 0.01, batch_size: 2}
space:
  student.options.tag: {low: 0.0, high: 1.0}
search: {trials: 100000, sampler: random, seed: 0, max_failures: 0}
precision: fp32
storage: runs
"""


@dataclass(frozen=True)
class Note:
    """A step that was begun: the trial's tag, the step's number from 1, when (seconds since the epoch), by whom."""

    tag: str
    step: int
    at: float
    pid: int


@dataclass(frozen=True)
class Kill:
    """What a kill cost.

    Args:
        seconds: Of training that was repeated, from the first repeated step's begin to the kill.
        steps: That were begun again.
        away_s: From the kill to the first step of whoever went on.
        step_s: The longest step of the dead worker among those repeated, its checkpoint's write included.
    """

    seconds: float
    steps: int
    away_s: float
    step_s: float


def repeated(notes: Iterable[Note], pid: int, at: float) -> Kill | None:
    """Return what was repeated of the trial that a worker was killed in; None while nobody went on with it.

    Args:
        notes: Of all workers, in any order.
        pid: The worker that was killed.
        at: When.
    """
    ordered = sorted(notes, key=lambda note: note.at)
    theirs = [note for note in ordered if note.pid == pid and note.at <= at]
    if not theirs:
        return None
    tag = theirs[-1].tag
    again = next((note for note in ordered if note.tag == tag and note.pid != pid and note.at > at), None)
    if again is None:
        return None
    lost = [note for note in theirs if note.tag == tag and note.step >= again.step]
    times = [*(note.at for note in lost), at]
    longest = max((after - before for before, after in pairwise(times)), default=0.0)
    return Kill(at - times[0], len(lost), again.at - at, longest)


def _notes(folder: Path) -> list[Note]:
    found = []
    for path in folder.glob("steps-*.txt"):
        pid = int(path.stem.partition("-")[2])
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) == 3:  # The last line of a killed worker may be torn.
                found.append(Note(words[0], int(words[1]), float(words[2]), pid))
    return found


def _training(folder: Path, driver: int, killed: set[int], there: list[Any]) -> bool:
    """Find the workers that train a student now."""
    alive = {worker.pid: worker for worker in workers_of(driver) if worker.pid not in killed}
    since = time.time() - 2
    there[:] = [
        worker
        for pid, worker in alive.items()
        if (file := folder / f"steps-{pid}.txt").exists() and file.stat().st_mtime > since
    ]
    return bool(there)


def _gone_on(folder: Path, pid: int, at: float) -> bool:
    return repeated(_notes(folder), pid, at) is not None


def campaign(program: Program, asked: argparse.Namespace) -> tuple[list[Kill], int]:
    """Kill workers in one run; return what each kill cost, and how many finished records were lost or changed."""
    drawn, process = random.Random(asked.seed), program.start()
    killed, found, lost = set[int](), list[Kill](), 0
    for _ in within(asked.n, asked):
        there: list[Any] = []
        time.sleep(drawn.uniform(0, asked.most_s))
        wait(START_S, partial(_training, program.folder, process.pid, killed, there), process)
        one, before = drawn.choice(there), finished(program.study)
        one.kill()
        at = time.time()
        killed.add(one.pid)
        wait(START_S, partial(_gone_on, program.folder, one.pid, at), process)
        kill = repeated(_notes(program.folder), one.pid, at)
        assert kill is not None  # Somebody has gone on, or the wait has ended the campaign.
        found.append(kill)
        lost += not same(before, finished(program.study))
        print(f"kill {len(found)}: {kill}", file=sys.stderr)
    process.send_signal(signal.SIGTERM)
    process.wait()
    return found, lost


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign."""
    parser = options(__doc__, n=12)
    parser.add_argument("--most-s", type=float, default=25.0, help="wait at most so long before a kill")
    parser.add_argument("--minutes", type=float, default=60, help="no further kill after so long")
    asked = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="repeated-"))
    shutil.copy(Path(counted.__file__), folder)
    program, began = Program(folder, str(folder / "runs"), space=SPACE), time.monotonic()
    load = round(os.getloadavg()[0], 2)
    found, lost = campaign(program, asked)
    before, code = finished(program.study), program.end()
    lost += not same(before, finished(program.study))
    seconds = sorted(round(kill.seconds, 2) for kill in found)
    result = {
        "kills": len(found),
        "training repeated by each, s": seconds,
        "median, s": round(statistics.median(seconds), 2),
        "greatest, s": seconds[-1],
        "steps repeated by each": sorted(kill.steps for kill in found),
        "longest step among them, s": round(max(kill.step_s for kill in found), 2),
        "until another worker trained on, s": sorted(round(kill.away_s, 1) for kill in found),
        "finished trials lost, changed or repeated": lost,
        **ending(program.study),
        "exit code of the last run": code,
        "load when it began": load,
        "left after it": program.left(),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    publish("repeated", result, asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
