"""Time from the command to the first resumed trial as a study grows: killed with trials in flight, on Ray.

The study is real (journal, records, lease), its trials answer at once. The time counts from the start of the process to
the first trial that a worker is given: Python, the packages, the records, the journal and Ray's own start are in it.
"""

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.campaign import finished, options, publish
from benchmarks.scripted import drive, space
from pdsearch.observer import Observer
from pdsearch.search.verify import check_invariants


class First(Observer):
    """An observer that prints when the first search trial starts."""

    def started(self, job: Any) -> None:
        """A job starts."""
        if job.kind == "search":
            print(json.dumps({"trial": job.id}), flush=True)


def grow(folder: Path, trials: int) -> None:
    """Fill a study, then leave two trials in flight for ever."""
    from pdsearch.search.study import open_as_driver

    with open_as_driver(space(folder, trials=10**6, sampler="tpe"), Observer()) as study:
        drive(study.scheduler.search, trials, slots=2)
        for _ in range(2):
            study.scheduler.search.ask()
        print("grown", flush=True)
        time.sleep(10**6)


def go_on(folder: Path) -> None:
    """Resume on a Ray of its own."""
    from pdsearch.cluster.connection.session import session
    from pdsearch.search.study import open_as_driver

    searched = space(folder, trials=10**6, sampler="tpe")
    with (
        open_as_driver(searched, First()) as study,
        session(cpu=1, gpu=0, workers=2, verbose=False) as here,
    ):
        from benchmarks.scripted_workers import Played  # ray.tune reads its environment when it is imported
        from pdsearch.cluster import runner

        runner.run(
            study.scheduler,
            here,
            resources=searched.resources,
            artifacts=study.artifacts,
            progress=study.progress,
            folder=study.folder,
            trainable=Played,
        )


def until(what: str, folder: Path, words: Sequence[str]) -> float:
    """Start a child, wait for a word of it, kill it; return the seconds to the word."""
    began = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.resume", "--folder", str(folder), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = next((line for line in child.stdout if what in line), None)
        seconds = time.monotonic() - began
        child.send_signal(signal.SIGKILL)
    if line is None:
        raise SystemExit(f"the child ended without {what!r}")
    return round(seconds, 2)


def main(words: Sequence[str] | None = None) -> None:
    """Grow a study, kill it, and measure; or be the child."""
    parser = options(__doc__, n=5)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--child", choices=["grow", "go on"])
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args(words)
    if asked.child:
        grow(asked.folder, asked.trials) if asked.child == "grow" else go_on(asked.folder)
        return
    folder = Path(tempfile.mkdtemp(prefix="resume-"))
    until("grown", folder, ["--child", "grow", "--trials", str(asked.trials)])
    study = folder / "runs" / "scripted"
    before = finished(study)
    took = [until('"trial"', folder, ["--child", "go on"]) for _ in range(asked.n)]
    after = finished(study)
    seen = {
        "finished trials": len(before),
        "s to the first resumed trial": took,
        "finished trials lost or changed": sum(after.get(name) != record for name, record in before.items()),
        "promises broken": [str(item) for item in check_invariants(study) if not item.mended],
    }
    publish("resume", seen, asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
