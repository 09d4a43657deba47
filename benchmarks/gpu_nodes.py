"""Shares of GPUs on a cluster of several kinds of nodes: how many trials run at once, and on which card.

The nodes are real raylets on this machine and the GPUs are numbers that Ray is told: it hands them out as if they were
there, so that all but the training is tried without one. More trials are asked for than fit.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware, versions
from benchmarks.harness import arguments
from benchmarks.raylets import Raylets
from benchmarks.scripted import space
from benchmarks.workers import search
from pdsearch.cluster import slots as workers
from pdsearch.protocol import Outcome


@dataclass(frozen=True)
class Case:
    """What a trial asks for, and what should be seen.

    Args:
        gpu: Share of a GPU.
        fit: Trials that fit on the cluster at once.
        accelerator: Kind of GPU, or None.
    """

    gpu: float
    fit: int
    accelerator: str | None = None

    @property
    def trials(self) -> int:
        """How many trials are asked for: more than fit."""
        return self.fit + self.fit // 2 + 1


@dataclass(frozen=True)
class Seen:
    """What was seen of a case.

    Args:
        ended: Trials by how they ended.
        at_once: The most trials at a time: in all, on a node, and on a card (node and number).
        nodes: Addresses of the nodes that had trials.
        said: What the person was told.
    """

    ended: dict[str, int]
    at_once: int
    by_node: dict[str, int]
    by_card: dict[str, int]
    said: list[str]


def most_at_once(trials: Iterable[Outcome]) -> int:
    """Return the most trials that ran at the same moment."""
    moments = [moment for o in trials for moment in ((o.values["began"], 1), (o.values["ended"], -1))]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def _grouped(ended: Sequence[Outcome], name: Callable[[Outcome], str]) -> dict[str, int]:
    return {
        group: most_at_once(o for o in ended if name(o) == group) for group in sorted({*map(name, ended)})
    }


def one(case: Case, address: str, seconds: int) -> Seen:
    """Run a case in this process, on a cluster whose token is in the environment."""
    workers.WARM_UP_S = 600.0  # All workers are waited for: what fits is counted, not how soon it is up.
    overrides = [f"resources.gpu={case.gpu}", "precision=fp32"]
    overrides += [f"resources.accelerator={case.accelerator}"] if case.accelerator else []
    with tempfile.TemporaryDirectory() as name:
        searched = space(
            Path(name), trials=case.trials, sampler="random", epochs=seconds, overrides=overrides
        )
        found = search(searched, address=address, workers=None)
    ended = [o for o in found.ended_trials if o.state == "complete"]
    return Seen(
        dict(Counter(outcome.state for outcome in found.ended_trials)),
        most_at_once(ended),
        _grouped(ended, lambda outcome: outcome.host),
        _grouped(ended, lambda outcome: f"{outcome.host} card {outcome.device}"),
        found.said,
    )


def on_nodes(case: Case, cluster: Raylets, *, seconds: int = 5, patience_s: float = 600) -> Seen:
    """Run a case on a cluster of raylets, its driver in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.gpu_nodes", "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, "--one", json.dumps(asdict(case)), "--address", cluster.address],
        env={**cluster.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=patience_s,
    )
    return Seen(**json.loads(done.stdout.strip().splitlines()[-1]))


CASES = [Case(1, 3), Case(0.5, 6), Case(0.25, 12), Case(0.4, 6), Case(0.5, 4, "A100"), Case(1, 1, "T4")]


def main(words: Sequence[str] | None = None) -> None:
    """Run all cases on one cluster: two cards of one kind, one of another, and a node without."""
    parser = arguments(__doc__, turns=1)
    parser.add_argument("--seconds", type=int, default=10, help="that a trial waits")
    parser.add_argument("--one", type=json.loads, help="run one case and print what was seen")
    parser.add_argument("--address", help="of the cluster for one case")
    asked = parser.parse_args(words)
    if asked.one:
        print(json.dumps(asdict(one(Case(**asked.one), asked.address, asked.seconds))))
        return
    found: dict[str, Any] = {"hardware": hardware(), "versions": versions(), "cases": []}
    with Raylets() as cluster:
        cluster.add(12, gpus=2, accelerator="A100")
        cluster.add(12, gpus=1, accelerator="T4")
        cluster.add(2)
        for case in CASES * asked.turns:
            seen = on_nodes(case, cluster, seconds=asked.seconds)
            found["cases"].append({**asdict(case), "trials": case.trials, "seen": asdict(seen)})
            print(json.dumps(found["cases"][-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
