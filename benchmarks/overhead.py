"""What does the search cost beside the work of its trials? Trivial jobs through our runner, and through Tune alone.

Ours is the whole path: TPE, journal and records on disk, the agenda, Ray, a warm worker. Tune's is a function
trainable with everything at its default, as its own examples have it, and random numbers for a search.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, arguments, show
from benchmarks.scripted import Silent, space

__all__ = ["main", "ours"]

ONE_HELP = "run ours once, with so many reports, and print the milliseconds of a trial"


class Clock(Silent):
    """An observer that notes when search trials end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def ended(self, job: Any, *_: Any) -> None:
        """A job ended."""
        if job.kind == "search":
            self.ends.append(time.perf_counter())


def ours(trials: int, reports: int) -> float:
    """Run a study of trivial jobs on a Ray of its own, two at a time; return the milliseconds of a trial."""
    from pdsearch.cluster.session import session
    from pdsearch.search.study import open_study

    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        searched = space(Path(name), trials=trials, sampler="tpe", epochs=reports)
        with (
            open_study(searched, clock) as study,
            session(address=None, cpu=1, gpu=0, workers=2, verbose=False) as here,
        ):
            from benchmarks.played import Played  # ray.tune reads its environment when it is imported
            from pdsearch.cluster import runner

            runner.run(
                study.agenda,
                here,
                resources=searched.resources,
                artifacts=study.artifacts,
                progress=study.progress,
                folder=study.folder,
                trainable=Played,
            )
    return (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1) * 1000


def in_a_process(*words: str | int) -> float:
    """Run a module and return the milliseconds that it prints last: Ray and its settings end with a process."""
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["ms"])


def main(words: Sequence[str] | None = None) -> None:
    """Measure ours with one report and with many, and Tune's default, in turns."""
    parser = arguments(__doc__, turns=3)
    parser.add_argument("--trials", type=int, default=200, help="of ours; Tune's default runs a tenth")
    parser.add_argument("--reports", type=int, default=21, help="of the trials with many")
    parser.add_argument("--one", type=int, help=ONE_HELP)
    asked = parser.parse_args(words)
    if asked.one:
        print(json.dumps({"ms": ours(asked.trials, asked.one)}))
        return
    default, one, many = "Tune's default, one report", "ours, one report", f"ours, {asked.reports} reports"
    figures: dict[str, list[float]] = {default: [], one: [], many: []}
    for _ in range(asked.turns):
        figures[default].append(in_a_process("benchmarks.tune_default", max(4, asked.trials // 10), 1))
        for name, reports in ((one, 1), (many, asked.reports)):
            trials = ("--trials", asked.trials, "--one", reports)
            figures[name].append(in_a_process("benchmarks.overhead", *trials))
    result = Result(
        "overhead", "ms of a trial", figures, default, False, {"slots": 2, "trials": asked.trials}
    )
    further = [(b - a) / (asked.reports - 1) for a, b in zip(figures[one], figures[many], strict=True)]
    result.notes = {"ms of a further report": sorted(further)[len(further) // 2]}
    show([result], asked.json)


if __name__ == "__main__":
    main()
