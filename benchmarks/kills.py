"""What is lost or repeated when processes of a search on Ray are killed by SIGKILL, at drawn moments.

`driver` kills the program and starts it again; `worker` kills one of its two workers while it runs. After each kill the
records are compared with those before, and `check_invariants` looks at the study; of a killed driver, the age of its
trials' checkpoints says how much work was lost. At the end the study is run to its end and looked at deeply.
"""

import argparse
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import psutil

from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.program import Program, wait
from pdsearch.pipeline.keys import dense_key, round_keys
from pdsearch.records.codec import decode
from pdsearch.search.verify import check_invariants
from pdsearch.specs import TrialSpec

WORKER = re.compile(r"ray::\w*Trainable")
"""Ray names a worker by its actor, and Tune's actors by what wraps them: ours is called ResourceTrainable."""

START_S = 600


@dataclass
class Seen:
    """What a campaign has seen so far."""

    kills: int = 0
    lost_or_changed: int = 0
    worse: int = 0
    broken: list[str] = field(default_factory=list)
    lost_s: list[float] = field(default_factory=list)
    best: float = 0.0

    def look(
        self, program: Program, before: dict[str, dict[str, Any]], began: float, at: float, *, live: bool
    ) -> None:
        """Compare a study with what it was before a kill, given when its driver began and when the kill came."""
        study = Path(str(program.study))
        self.kills += 1
        after = finished(study)
        self.lost_or_changed += not same(before, after)
        best = max((float(r["values"].get("student.val_accuracy", 0)) for r in after.values()), default=0.0)
        self.worse += best < self.best
        self.best = max(best, self.best)
        found = check_invariants(study)
        self.broken += [str(item) for item in found if not item.mended or (live and item.rule == "once")]
        if (
            not live
        ):  # While a run goes on, a trial may wait for a worker, and its checkpoint ages without a loss.
            self.lost_s += _ages(study, after, began, at)
        print(
            f"kill {self.kills}: {len(after)} finished, lost or changed {self.lost_or_changed}",
            file=sys.stderr,
        )


def _ages(study: Path, done: dict[str, Any], began: float, at: float) -> list[float]:
    """Return the seconds of work that a kill took from each trial in flight: the age of what it would go on from."""
    found = []
    for path in (study / "trials").glob("search-*.asked.json"):
        started = path.stat().st_mtime
        if path.name.replace(".asked.", ".finished.") not in done and started > began:
            found.append(round(at - max(started, *_saved(study.parent, json.loads(path.read_text()))), 2))
    return [age for age in found if age > 0]


def _saved(root: Path, asked: dict[str, Any]) -> list[float]:
    """Return when each thing that a trial would go on from was written: checkpoints, and artifacts before them."""
    spec = decode(TrialSpec, asked["spec"])
    wanted = [asked["key"], *round_keys(spec), dense_key(spec)]
    paths = [root / "progress" / key / "progress.safetensors" for key in wanted]
    paths += [
        path for key in wanted for path in (root / "artifacts").glob(f"*/{key[:2]}/{key}/manifest.json")
    ]
    return [path.stat().st_mtime for path in paths if path.exists()] or [0.0]


def workers_of(driver: int) -> list[psutil.Process]:
    """Return the processes that run trials."""
    children = psutil.Process(driver).children(recursive=True)
    return [child for child in children if WORKER.match(_name(child))]


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def within(n: int, most: argparse.Namespace) -> Iterator[int]:
    """Count to n, or until the time is over."""
    end = time.monotonic() + 60 * most.minutes
    yield from takewhile(lambda _: time.monotonic() < end, range(n))


def drivers(program: Program, seen: Seen, n: int, drawn: random.Random, most: argparse.Namespace) -> None:
    """Kill the driver again and again, each time with trials in flight."""
    for _ in within(n, most):
        asked, began, process = program.asked(), time.time(), program.start()
        wait(START_S, partial(_asked_beyond, program, asked), process)
        time.sleep(drawn.uniform(0, most.most_s))
        before, at = finished(program.study), time.time()
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.look(program, before, began, at, live=False)


def _asked_beyond(program: Program, count: int) -> bool:
    return program.asked() > count


def _fresh(driver: int, killed: set[int], there: list[psutil.Process]) -> bool:
    there[:] = [worker for worker in workers_of(driver) if worker.pid not in killed]
    return bool(there)


def workers(program: Program, seen: Seen, n: int, drawn: random.Random, most: argparse.Namespace) -> None:
    """Kill one of two workers again and again, in one run."""
    began, process, killed = time.time(), program.start(), set[int]()
    wait(START_S, lambda: program.asked() >= 2, process)
    for _ in within(n, most):
        time.sleep(drawn.uniform(0, most.most_s))
        there: list[psutil.Process] = []  # Judged and chosen from at one moment: workers come and go.
        wait(START_S, partial(_fresh, process.pid, killed, there), process)
        one = drawn.choice(there)
        before, at = finished(program.study), time.time()
        one.kill()
        killed.add(one.pid)
        seen.look(program, before, began, at, live=True)
    process.send_signal(signal.SIGTERM)
    process.wait()


def main(words: Sequence[str] | None = None) -> None:
    """Run a campaign."""
    parser = options(__doc__, n=20)
    parser.add_argument("what", choices=["driver", "worker"])
    parser.add_argument(
        "--most-s", type=float, default=20.0, help="a kill comes at most so long after work began"
    )
    parser.add_argument("--minutes", type=float, default=120, help="no further kill after so long")
    parser.add_argument(
        "--epochs", type=int, default=80, help="of a trial; more make it longer than a checkpoint's interval"
    )
    parser.add_argument("--folder", type=Path, help="work here, and go on with what is there")
    asked = parser.parse_args(words)
    folder, seen = asked.folder or Path(tempfile.mkdtemp(prefix="kills-")), Seen()
    program, began = Program(folder, str(folder / "runs"), epochs=asked.epochs), time.monotonic()
    campaign = {"driver": drivers, "worker": workers}[asked.what]
    campaign(program, seen, asked.n, random.Random(asked.seed), asked)
    before = finished(program.study)
    code = program.end()
    result = {
        "kills": seen.kills,
        "finished trials lost, changed or repeated": seen.lost_or_changed
        + (not same(before, finished(program.study))),
        "best was worse than before": seen.worse,
        "promises broken after a kill": seen.broken,
        **ending(program.study),
        "exit code of the last run": code,
        "left after it": program.left(),
        "trials in flight when killed": len(seen.lost_s),
        "work lost by each, s": sorted(seen.lost_s),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    publish("kills", result, asked)
    if not asked.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
