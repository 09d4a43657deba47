"""Trials an hour by the number of workers, with trials that wait: what the driver and Ray take away from them.

The whole path of a search but its trainings: sampler, journal, records, scheduler, Ray, warm workers. A trial waits a
second an epoch, as a worker would whose GPU computes, so that many workers fit on a few cores.
"""

import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, Target, arguments, show
from benchmarks.overhead import in_a_process
from benchmarks.scripted import space
from pdsearch.config import Space
from pdsearch.observer import Observer
from pdsearch.protocol import Outcome

MOST = 16


class Outcomes(Observer):
    """An observer that keeps how search trials end, and what is said."""

    def __init__(self) -> None:
        self.ended_trials: list[Outcome] = []
        self.said: list[str] = []

    def ended(self, job: Any, outcome: Outcome, *_: Any) -> None:
        """A job ended."""
        if job.kind == "search":
            self.ended_trials.append(outcome)

    def say(self, text: str) -> None:
        """Something is to be known."""
        self.said.append(text)


def search(searched: Space, *, address: str | None, workers: int | None) -> Outcomes:
    """Run a study of trials that wait, on a Ray of its own or on a cluster; return what was seen."""
    from pdsearch.cluster.connection.choice import Choice
    from pdsearch.cluster.connection.session import session
    from pdsearch.search.study import open_as_driver

    resources, seen = searched.resources, Outcomes()
    with (
        open_as_driver(searched, seen, ask_workers=(lambda: False) if address else None) as study,
        session(
            choice=Choice(address),
            cpu=resources.cpu,
            gpu=resources.gpu,
            accelerator=resources.accelerator,
            workers=workers,
            verbose=False,
        ) as here,
    ):
        from benchmarks.scripted_workers import Waiting  # ray.tune reads its environment when it is imported
        from pdsearch.cluster import runner

        runner.run(
            study.scheduler,
            here,
            resources=resources,
            artifacts=study.artifacts,
            progress=study.progress,
            folder=study.folder,
            say=seen.say,
            trainable=Waiting,
        )
    return seen


def an_hour(workers: int, seconds: int, rounds: int) -> float:
    """Return the trials an hour of so many workers, from the first trial's start to the last one's end."""
    with tempfile.TemporaryDirectory() as name:
        trials = workers * rounds
        searched = space(Path(name), trials=trials, sampler="tpe", epochs=seconds)
        ended = search(searched, address=None, workers=workers).ended_trials
    taken = max(o.values["ended"] for o in ended) - min(o.values["began"] for o in ended)
    return 3600 * len(ended) / taken


def main(words: Sequence[str] | None = None) -> None:
    """Measure one worker and more, in turns."""
    parser = arguments(__doc__, turns=3)
    parser.add_argument("--seconds", type=int, default=10, help="that a trial waits, an epoch each")
    parser.add_argument("--rounds", type=int, default=4, help="trials of each worker")
    parser.add_argument("--one", type=int, help="run so many workers once, and print the trials an hour")
    asked = parser.parse_args(words)
    if asked.one:
        print(json.dumps({"an hour": an_hour(asked.one, asked.seconds, asked.rounds)}))
        return
    counts = [1, 2, 4, 8, MOST]
    figures: dict[str, list[float]] = {_name(count): [] for count in counts}
    for _ in range(asked.turns):
        for count in counts:
            given = ("--seconds", asked.seconds, "--rounds", asked.rounds, "--one", count)
            figures[_name(count)].append(in_a_process("benchmarks.workers", *given)["an hour"])
    settings = {"a trial waits, s": asked.seconds, "trials of each worker": asked.rounds}
    result = Result("workers", "trials an hour", figures, _name(1), settings=settings)
    efficiency = {count: result.ratio(_name(count), _name(1)) / count for count in counts}
    ideal = 3600 / asked.seconds
    one = statistics.median(figures[_name(1)]) / ideal
    result.notes = {
        **{f"efficiency of {_name(count)}": round(value, 3) for count, value in efficiency.items()},
        "one worker beside trials that follow one another at once": round(one, 3),
    }
    result.targets = [Target(f"efficiency of {_name(MOST)}", efficiency[MOST], 0.9)]
    show([result], asked.json)


def _name(count: int) -> str:
    return f"{count} worker{'s' if count > 1 else ''}"


if __name__ == "__main__":
    main()
