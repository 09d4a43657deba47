"""How long does a search take? The digits space on two workers: ours, and Tune used as one would at first.

There every trial is a function that trains its teacher, prunes it and distills, with our own science and engine, from
an empty store: what is measured is reuse, warm workers and early stopping, not the training loop.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, Target, arguments, show
from benchmarks.scripted import Silent
from pdsearch.events import Outcome
from pdsearch.space import Space, load

__all__ = ["main", "naively", "ours"]

SPACE = Path(__file__).parents[1] / "search_spaces" / "digits.yaml"
WAYS = ("tune, every trial on its own", "ours, without early stopping", "ours")


class Best(Silent):
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


def ours(folder: Path, trials: int, *, stop: bool) -> dict[str, float]:
    """Search with pdsearch; the clock ends with the last search trial, baselines before it included."""
    from pdsearch.cluster.session import session
    from pdsearch.search.study import open_study

    seen = Best()
    space = _space(folder, trials)
    if not stop:
        space = replace(space, search=replace(space.search, stop=None))
    with (
        open_study(space, seen) as study,
        session(address=None, cpu=1, gpu=0, workers=2, verbose=False) as here,
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


def naively(folder: Path, trials: int) -> dict[str, float]:
    """Search with Tune at its defaults; a trial is a function of random parameters."""
    import ray
    from ray import tune

    space = _space(folder, trials)
    points = [{"name": f"{n}", "params": _drawn(space, random.Random(n))} for n in range(trials)]

    def trainable(config: dict[str, Any]) -> None:
        _whole_trial(folder, config["point"], tune.report)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    start = time.perf_counter()
    results = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"point": tune.grid_search(points)},
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    ).fit()
    seconds = time.perf_counter() - start
    best = results.get_best_result("accuracy", "max").metrics
    ray.shutdown()
    return {"seconds": seconds, "best": (best or {})["accuracy"], "trials": trials}


def _whole_trial(folder: Path, point: dict[str, Any], tell: Any) -> None:
    import torch

    from pdsearch.artifacts import Store
    from pdsearch.events import Report
    from pdsearch.search.study import open_study  # noqa: F401 - torch and all else are loaded in the worker
    from pdsearch.specs import spec_from_json
    from pdsearch.stages.site import Site
    from pdsearch.trial import run_trial

    torch.set_num_threads(1)
    own = folder / "trials" / point["name"]
    site = Site(Store(own / "artifacts"), own / "progress", outputs_limit_bytes=0)
    for event in run_trial(spec_from_json(point["params"]), site):
        if isinstance(event, Report):
            tell({"accuracy": event.val_accuracy, "epoch": event.epoch})


def _space(folder: Path, trials: int) -> Space:
    searched = load(SPACE, overrides=(f"storage={folder / 'runs'}", f"search.trials={trials}"))
    return replace(searched, confirm=None)


def _drawn(space: Space, drawn: random.Random) -> Any:
    """Return a point of the space as a specification, drawn at random."""
    from pdsearch.data.registry import sources
    from pdsearch.search.describe import Description
    from pdsearch.search.precision import precision
    from pdsearch.specs import spec_to_json

    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.active(values):
            low, high = parameter.low or 0.0, parameter.high or 0.0
            chosen = drawn.choice(parameter.choices) if parameter.choices else drawn.uniform(low, high)
            values[parameter.name] = chosen
    spec = space.resolve(values)
    fingerprint = sources.get(spec.data.source).fingerprint(spec.data)
    return spec_to_json(Description(fingerprint, precision(space)).complete(spec))


def _once(way: str, trials: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        if way == WAYS[0]:
            return naively(Path(name), trials)
        return ours(Path(name), trials, stop=way == WAYS[2])


def main(words: Sequence[str] | None = None) -> None:
    """Measure each way in a process of its own, in turns."""
    parser = arguments(__doc__, turns=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--one", choices=WAYS, help="run one way and print what it took")
    asked = parser.parse_args(words)
    if asked.one:
        print(json.dumps(_once(asked.one, asked.trials)))
        return
    figures: dict[str, list[float]] = {way: [] for way in WAYS}
    best: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(asked.turns):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.search", "--one", way, "--trials", str(asked.trials)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            told = json.loads(done.stdout.strip().splitlines()[-1])
            figures[way].append(told["seconds"])
            best[way].append(told["best"])
    settings = {"space": "digits", "trials": asked.trials, "workers": 2}
    notes = {f"best validation accuracy, {way}": values for way, values in best.items()}
    result = Result("search", "s", figures, WAYS[0], False, settings, notes)
    result.targets = [Target("ours, of every trial on its own", result.ratio(WAYS[2], WAYS[0]), 8)]
    show([result], asked.json)


if __name__ == "__main__":
    main()
