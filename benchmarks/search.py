"""Duration of a search: the digits space on two workers, by pdsearch and by the naive way.

That is a function which trains a teacher, prunes it and distills, for every trial, run by Tune or by Optuna alone. Once
more Tune runs it with our own loops and numerics, from an empty store: beside that, ours is reuse, warm workers and
early stopping alone.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, Target, arguments, show
from benchmarks.naive_search import optuna_alone, searched, tune_naively
from pdsearch.config import Space
from pdsearch.observer import Observer
from pdsearch.protocol import Outcome

__all__ = ["main", "ours"]

TUNE, OPTUNA, OUR_LOOP = "tune, the usual loop", "optuna alone, the usual loop", "tune, our loop"
WHOLE, OURS = "ours, without early stopping", "ours"
WAYS = (TUNE, OPTUNA, OUR_LOOP, WHOLE, OURS)


class Best(Observer):
    """An observer that notes when search trials end and how good the best one is."""

    def __init__(self) -> None:
        self.end = self.best = 0.0
        self.count = 0

    def ended(self, job: Any, outcome: Outcome, *_: Any) -> None:
        """A job ended."""
        if job.kind == "search":
            self.end, self.count = time.perf_counter(), self.count + 1
            if outcome.state == "complete":
                self.best = max(self.best, outcome.values["student.val_accuracy"])


def ours(space: Space, *, stop: bool) -> dict[str, float]:
    """Search with pdsearch; the clock ends with the last search trial, baselines before it included."""
    from pdsearch.cluster.connection.session import session
    from pdsearch.search.study import open_study

    seen = Best()
    if not stop:
        space = replace(space, search=replace(space.search, stop=None))
    with (
        open_study(space, seen) as study,
        session(cpu=1, gpu=0, workers=2, verbose=False) as here,
    ):
        from pdsearch.cluster import runner  # ray.tune reads its environment when it is imported

        start = time.perf_counter()
        runner.run(
            study.agenda,
            here,
            resources=space.resources,
            artifacts=study.artifacts,
            progress=study.progress,
            folder=study.folder,
        )
    return {"seconds": seen.end - start, "best": seen.best, "trials": seen.count}


def _once(way: str, trials: int, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        space = searched(folder, trials, seed)
        if way in (WHOLE, OURS):
            return ours(space, stop=way == OURS)
        if way == OPTUNA:
            return optuna_alone(space, folder, trials)
        return tune_naively(space, folder, trials, usual=way == TUNE)


def main(given: Sequence[str] | None = None) -> None:
    """Measure each way in a process of its own, in turns."""
    parser = arguments(__doc__, turns=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--one", choices=WAYS, help="run one way and print what it took")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first turn's searches; each turn has another"
    )
    asked = parser.parse_args(given)
    if asked.one:
        print(json.dumps(_once(asked.one, asked.trials, asked.seed)))
        return
    figures: dict[str, list[float]] = {way: [] for way in WAYS}
    best: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(asked.seed, asked.seed + asked.turns):
        for way in WAYS:
            words = ["--one", way, "--trials", str(asked.trials), "--seed", str(seed)]
            command = [sys.executable, "-m", "benchmarks.search", *words]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            told = json.loads(done.stdout.strip().splitlines()[-1])
            figures[way].append(told["seconds"])
            best[way].append(told["best"])
    settings = {"space": "digits", "trials": asked.trials, "workers": 2}
    notes: dict[str, Any] = {f"best validation accuracy, {way}": values for way, values in best.items()}
    result = Result("search", "s", figures, TUNE, False, settings, notes)
    notes["ours, of Tune with our loop"] = round(result.ratio(OURS, OUR_LOOP), 2)
    result.targets = [Target("ours, of Tune used naively", result.ratio(OURS, TUNE), 8)]
    show([result], asked.json)


if __name__ == "__main__":
    main()
