"""Nodes that join and are lost all the time, under one search and on a machine kept busy: what becomes of its trials.

Real raylets of one CPU each on one machine, told apart by their loopback addresses, under a head without CPUs. The
search is submitted with `ray job submit --working-dir` while there is no node, so that nothing runs before the first
joins. Then nodes join and are killed in a drawn order, so many of each, while a busy process turns on every core.
Trials are short: much of what is killed is a worker between two jobs, or at the start of one.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.raylets import Node, Raylets
from benchmarks.submitted import Submitted

SPACE = """
study: churn
data: {{source: digits, val_fraction: 0.2, subset: 400}}
teacher: {{model: convnet_s, seed: 0}}
student: {{model: convnet_s}}
train:
  teacher: {{epochs: 2, lr: 0.05, batch_size: 16}}
  recover: {{epochs: 1, lr: 0.05, batch_size: 16}}
  distill: {{epochs: {epochs}, lr: 0.05, batch_size: 16}}
distill: {{loss: kd}}
space:
  prune.method: [none, magnitude]
  prune.ratio: {{choices: [0.2, 0.36], when: {{prune.method: [magnitude]}}}}
  distill.temperature: {{low: 1, high: 20, log: true}}
search: {{trials: 100000, seed: 0, max_failures: 100000}}
storage: {storage}
"""
MOST_NODES = 3
SOON_S = 600


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy for the duration, at the niceness that Ray gives its workers."""
    command = ["nice", "-n", "15", sys.executable, "-c", "while True: pass"]
    started = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


class Churn:
    """What joined, what was lost, and what was seen of it.

    Args:
        cluster: With no node but its head.
        job: The search.
        study: Its folder.
    """

    def __init__(self, cluster: Raylets, job: Submitted, study: Path) -> None:
        self.cluster, self.job, self.study = cluster, job, study
        self.nodes: list[Node] = []
        self.counts: Counter[str] = Counter()
        self.loads: list[float] = []
        self.wrong = 0
        self.before: dict[str, dict[str, Any]] = {}

    def join(self) -> None:
        """Start a node, and wait until it is up."""
        self.nodes += self.cluster.add()
        self._happened("joins")

    def lose(self, node: Node) -> None:
        """Kill a node's raylet."""
        self.nodes.remove(node)
        node.kill()
        self._happened("losses")

    def work(self) -> None:
        """Wait until the search got on."""
        since = len(self.job.hear())
        self.job.until(
            lambda: any(heard.works for heard in self.job.heard[since:]), SOON_S, "epoch after a change"
        )

    def _happened(self, what: str) -> None:
        self.counts[what] += 1
        self.loads.append(os.getloadavg()[0])
        after = finished(self.study)
        self.wrong += not same(self.before, after)
        self.before = after
        failed = sum(record["state"] == "failed" for record in after.values())
        print(f"{dict(self.counts)}: {len(after)} finished, {failed} failed", file=sys.stderr)


def come_and_go(seen: Churn, asked: argparse.Namespace) -> None:
    """Let so many nodes join and be lost, in a drawn order and with drawn pauses."""
    drawn = random.Random(asked.seed)
    while seen.counts["joins"] + seen.counts["losses"] < 2 * asked.n:
        room = seen.counts["joins"] < asked.n and len(seen.nodes) < MOST_NODES
        if room and (not seen.nodes or drawn.random() < 0.5):
            seen.join()
        else:
            seen.lose(drawn.choice(seen.nodes))
        seen.job.pause(drawn.uniform(0, asked.most_s))
        if seen.nodes and drawn.random() < 0.5:
            seen.work()


def campaign(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Let so many nodes join and be lost; return what was seen."""
    space = folder / "sent" / "space.yaml"
    space.parent.mkdir()
    space.write_text(SPACE.format(storage=folder / "runs", epochs=asked.epochs))
    study = folder / "runs" / "churn"
    with Raylets(dashboard=True) as cluster:
        job = Submitted(cluster, space, "churn")
        job.until(lambda: any("waiting for one to join" in h.note for h in job.hear()), SOON_S, "driver")
        seen = Churn(cluster, job, study)
        with busy(asked.busy):
            come_and_go(seen, asked)
        job.stop()
        job.until(lambda: job.status == "STOPPED", SOON_S, "end of the job", alive=False)
        heard, total = job.hear(), len(finished(study)) + 2
        cluster.add()
        last = Submitted(cluster, space, "the-end", ("--set", f"search.trials={total}"))
        last.until(lambda: last.status not in ("PENDING", "RUNNING"), SOON_S, "end of the study", alive=False)
        status = last.status
    return {
        **seen.counts,
        "finished trials lost, changed or repeated": seen.wrong,
        **ending(study),
        "the last job": status,
        "jobs that lost their worker": sum(" lost its worker" in h.note for h in heard),
        "jobs that could not start in a worker": sum(" could not start" in h.note for h in heard),
        "load (least, median, most)": [round(of(seen.loads), 1) for of in (min, statistics.median, max)],
    }


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign."""
    parser = options(__doc__, n=40)
    parser.add_argument("--epochs", type=int, default=20, help="of a trial")
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="busy processes beside it")
    parser.add_argument("--most-s", type=float, default=3.0, help="between two changes at most")
    asked = parser.parse_args(words)
    folder, began = Path(tempfile.mkdtemp(prefix="churn-")), time.monotonic()
    seen = campaign(folder, asked)
    publish("churn", {**seen, "minutes": round((time.monotonic() - began) / 60, 1)}, asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
