"""The search's overhead beside the work of trials: trivial jobs through our runner, and through Tune alone.

Ours is the whole path: TPE, journal and records on disk, the scheduler, Ray, a warm worker. Tune's is a function
trainable with everything at its default, as its own examples have it, and random numbers for a search.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, Target, arguments, show
from benchmarks.scripted import space
from pdsearch.observer import Observer

ROOT = Path(__file__).parents[1]
ONE_HELP = "run ours once, with so many reports, and print the milliseconds of a trial"


class Clock(Observer):
    """An observer that notes when search trials end."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.memory: list[float] = []

    def ended(self, job: Any, *_: Any) -> None:
        """A job ended."""
        if job.kind == "search":
            self.ends.append(time.perf_counter())
            self.memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def ours(trials: int, reports: int) -> dict[str, float]:
    """Run a study of trivial jobs on a Ray of its own, two at a time; return what a trial costs the driver."""
    from pdsearch.cluster.connection.session import session
    from pdsearch.search.study import open_as_driver

    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        searched = space(Path(name), trials=trials, sampler="tpe", epochs=reports)
        with (
            open_as_driver(searched, clock) as study,
            session(cpu=1, gpu=0, workers=2, verbose=False) as here,
        ):
            from benchmarks.scripted_workers import Played  # ray.tune reads its environment on import
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
    since = len(clock.ends) // 2
    return {
        "ms": (clock.ends[-1] - clock.ends[0]) / (len(clock.ends) - 1) * 1000,
        "ms, second half": (clock.ends[-1] - clock.ends[since]) / (len(clock.ends) - 1 - since) * 1000,
        "KB": (clock.memory[-1] - clock.memory[since]) * 1024 / (len(clock.ends) - 1 - since),
    }


def tune_default(trials: int) -> dict[str, float]:
    """Run trivial trials of one report as Tune's own examples run them: a function, fresh actors, Tune's loggers."""
    import ray
    from ray import tune

    def trainable(config: dict[str, float]) -> None:
        tune.report({"accuracy": config["x"]})

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=2),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        start = time.perf_counter()
        tuner.fit()
        seconds = time.perf_counter() - start
    ray.shutdown()
    return {"ms": seconds / trials * 1000}


def in_a_process(*words: str | int, checkout: Path | None = None) -> dict[str, float]:
    """Run a module, of another checkout if one is given, and return what it prints last: Ray ends with a process."""
    command = [sys.executable, "-m", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)} if checkout else None
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def beside(checkout: Path, asked: argparse.Namespace) -> Result:
    """Measure ours with one report, here and in another checkout, in turns."""
    figures: dict[str, list[float]] = {"there": [], "here": []}
    for turn in range(asked.turns):
        for name in sorted(figures, reverse=bool(turn % 2)):
            trials = ("--trials", asked.trials, "--one", 1)
            told = in_a_process(
                "benchmarks.overhead", *trials, checkout=checkout if name == "there" else ROOT
            )
            figures[name].append(told["ms"])
    settings = {"slots": 2, "trials": asked.trials}
    result = Result("overhead beside another checkout", "ms of a trial", figures, "there", False, settings)
    ratios = [here / there for here, there in zip(figures["here"], figures["there"], strict=True)]
    result.targets = [Target("here, of there", statistics.median(ratios), 1.2, at_least=False)]
    return result


def main(words: Sequence[str] | None = None) -> None:
    """Measure ours with one report and with many, and Tune's default, in turns."""
    parser = arguments(__doc__, turns=3)
    parser.add_argument("--trials", type=int, default=500, help="of ours; Tune's default runs a tenth")
    parser.add_argument("--reports", type=int, default=21, help="of the trials with many")
    parser.add_argument("--one", type=int, help=ONE_HELP)
    parser.add_argument("--default", action="store_true", help="run Tune's default once, and print likewise")
    parser.add_argument("--beside", type=Path, help="a checkout: measure only ours, here and there")
    asked = parser.parse_args(words)
    if asked.beside:
        show([beside(asked.beside.absolute(), asked)], asked.json)
        return
    if asked.default:
        print(json.dumps(tune_default(asked.trials)))
        return
    if asked.one:
        print(json.dumps(ours(asked.trials, asked.one)))
        return
    default, one, many = "Tune's default, one report", "ours, one report", f"ours, {asked.reports} reports"
    figures: dict[str, list[float]] = {default: [], one: [], many: []}
    memory: list[float] = []
    for _ in range(asked.turns):
        few = ("--trials", max(4, asked.trials // 10), "--default")
        figures[default].append(in_a_process("benchmarks.overhead", *few)["ms"])
        for name, reports in ((one, 1), (many, asked.reports)):
            trials = ("--trials", asked.trials, "--one", reports)
            told = in_a_process("benchmarks.overhead", *trials)
            figures[name].append(told["ms"])
            memory.append(told["KB"])
    result = Result(
        "overhead", "ms of a trial", figures, default, False, {"slots": 2, "trials": asked.trials}
    )
    further = [(b - a) / (asked.reports - 1) for a, b in zip(figures[one], figures[many], strict=True)]
    result.notes = {
        "driver's memory, KB a trial, second half": statistics.median(memory),
    }
    result.targets = [
        Target("ms of a trial of one report", statistics.median(figures[one]), 40, at_least=False),
        Target("ms of a further report", statistics.median(further), 8, at_least=False),
        Target("less than Tune's default", result.ratio(one, default), 25),
    ]
    show([result], asked.json)


if __name__ == "__main__":
    main()
