"""What is lost with the nodes, drivers and head of a cluster: real raylets on one machine, `ray job submit`.

One search goes through all of it: a raylet is killed at a drawn moment and another node added, n times; the driver is
killed and the same command submitted again; the job is stopped with `ray job stop` and submitted again; the head is
killed, and the command submitted to another cluster over the same storage, where it ends. After each fault the records
are compared with those before, and `check_invariants` looks at the study; at the end it looks deeply.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.raylets import Node, Raylets
from benchmarks.submitted import Heard, Submitted
from benchmarks.tokenless import without_a_token
from pdsearch.artifacts import lease_at
from pdsearch.search.verify import check_invariants

SPACE = """
study: faults
data: {{source: digits, val_fraction: 0.2, subset: 400}}
teacher: {{model: convnet_s, seed: 0}}
student: {{model: convnet_s}}
train:
  teacher: {{epochs: 2, lr: 0.05, batch_size: 16}}
  recover: {{epochs: 1, lr: 0.05, batch_size: 16}}
  distill: {{epochs: 200, lr: 0.05, batch_size: 16}}
distill: {{loss: kd}}
space:
  prune.method: [none, magnitude]
  prune.ratio: {{choices: [0.2, 0.36], when: {{prune.method: [magnitude]}}}}
  distill.temperature: {{low: 1, high: 20, log: true}}
search: {{trials: 100000, seed: 0, max_failures: 0}}
storage: {storage}
"""
LOST = " lost its worker"
SOON_S, LONG_S = 300, 600


@dataclass
class Seen:
    """What the campaign has seen so far."""

    study: Path
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: int = 0
    lost_or_changed: int = 0
    broken: list[str] = field(default_factory=list)
    moved_s: list[float] = field(default_factory=list)
    used_s: list[float] = field(default_factory=list)
    resumed_s: list[float] = field(default_factory=list)
    once: dict[str, Any] = field(default_factory=dict)

    def driver(self) -> psutil.Process:
        """Return the process that drives the study now."""
        owner = lease_at(self.study / "driver.lease").owner()
        assert owner is not None
        return psutil.Process(owner.pid)

    def look(self, what: str, *, live: bool) -> None:
        """Compare the records with those before the last fault."""
        after = finished(self.study)
        self.faults += 1
        self.lost_or_changed += not same(self.before, after)
        found = check_invariants(self.study)
        self.broken += [
            f"{what}: {item}" for item in found if not item.mended or (live and item.rule == "once")
        ]
        self.before = after
        print(f"{what}: {len(after)} finished, lost or changed {self.lost_or_changed}", file=sys.stderr)


def kill_a_node(cluster: Raylets, nodes: list[Node], job: Submitted, seen: Seen) -> None:
    """Kill a node that works, wait until its trial goes on, add another one, and wait until it works."""
    node = nodes.pop(0)
    job.hear()
    seen.before, since, killed = finished(seen.study), len(job.heard), time.monotonic()
    node.kill()
    word = job.until(lambda: _first(job.heard[since:], LOST), SOON_S, "word of the loss")
    trial, heard = word.note.split(LOST)[0].split()[-1], job.heard.index(word)
    again = job.until(
        lambda: next((h for h in job.heard[heard:] if h.works and h.event["id"] == trial), None),
        SOON_S,
        f"epoch of {trial}",
    )
    seen.moved_s.append(round(again.at - killed, 1))
    seen.look(f"a node killed; {trial} moved after {seen.moved_s[-1]} s", live=True)
    nodes += cluster.add()
    since, joined = len(job.hear()), time.monotonic()
    job.until(lambda: len(_at_work(job.heard, since)) == len(nodes), SOON_S, "work on the node that joined")
    seen.used_s.append(round(time.monotonic() - joined, 1))


def kill_the_driver(job: Submitted, seen: Seen) -> None:
    """Kill the driver, and wait until Ray knows."""
    driver = seen.driver()
    seen.before, killed = finished(seen.study), time.monotonic()
    driver.kill()
    job.until(lambda: job.status == "FAILED", SOON_S, "end of the job", alive=False)
    seen.once["Ray shows the lost driver's job as failed after, s"] = round(time.monotonic() - killed, 1)
    seen.look("the driver killed", live=False)


def stop_the_job(job: Submitted, seen: Seen) -> None:
    """Stop the job as its user would, and see that the driver drained."""
    seen.before, asked = finished(seen.study), time.monotonic()
    job.stop()
    job.until(lambda: job.status == "STOPPED", SOON_S, "end of the job", alive=False)
    seen.once["`ray job stop` took, s"] = round(time.monotonic() - asked, 1)
    drained = any("run the same command to go on" in heard.line for heard in job.hear())
    seen.once["and the driver drained"] = str(drained)
    seen.look("the job stopped", live=False)


def kill_the_head(cluster: Raylets, nodes: list[Node], job: Submitted, seen: Seen) -> None:
    """Kill the head's control, and see what is left."""
    driver = seen.driver()
    raylets = [found for node in nodes if (found := node.raylet())]
    seen.before, killed = finished(seen.study), time.monotonic()
    cluster.head.kill("gcs_server")
    for name, processes in (("driver", [driver]), ("workers' Ray", raylets)):
        _, left = psutil.wait_procs(processes, timeout=LONG_S)
        seen.once[f"with the head, the {name} ended after, s"] = (
            f"not within {LONG_S}" if left else round(time.monotonic() - killed, 1)
        )
    seen.look("the head killed", live=False)
    seen.once["and the job's last words were"] = next((h.line for h in reversed(job.hear()) if h.line), "")


def resubmit(cluster: Raylets, seen: Seen, space: Path, name: str, *words: str) -> Submitted:
    """Submit the same command, and wait until a trial goes on."""
    began = time.monotonic()
    job = Submitted(cluster, space, name, words)
    job.until(lambda: any(heard.works for heard in job.hear()), LONG_S, "first epoch")
    seen.resumed_s.append(round(time.monotonic() - began, 1))
    return job


def _first(heard: list[Heard], word: str) -> Heard | None:
    return next((item for item in heard if word in item.note), None)


def _at_work(heard: list[Heard], since: int) -> set[str]:
    """Return the trials that got on since a line and have not ended: each has a CPU, hence a node, of its own."""
    found: set[str] = set()
    for item in heard[since:]:
        if item.works:
            found.add(item.event["id"])
        elif item.event.get("event") == "ended":
            found.discard(item.event["id"])
    return found


def campaign(folder: Path, asked: argparse.Namespace, seen: Seen) -> str:
    """Let everything happen; return how the last job ended."""
    space, drawn = folder / "sent" / "space.yaml", random.Random(asked.seed)
    space.parent.mkdir()
    space.write_text(SPACE.format(storage=folder / "runs"))
    with Raylets(dashboard=True) as cluster:
        nodes = cluster.add(count=2)
        seen.once["without the token"] = without_a_token(cluster)
        job = resubmit(cluster, seen, space, "first")
        for _ in range(asked.n):
            job.until(lambda: len(_at_work(job.heard, 0)) == len(nodes), SOON_S, "work on each node")
            job.pause(drawn.uniform(0, asked.most_s))
            drawn.shuffle(nodes)
            kill_a_node(cluster, nodes, job, seen)
        kill_the_driver(job, seen)
        job = resubmit(cluster, seen, space, "after-the-driver")
        job.pause(drawn.uniform(0, asked.most_s))
        stop_the_job(job, seen)
        job = resubmit(cluster, seen, space, "after-the-stop")
        job.pause(drawn.uniform(0, asked.most_s))
        kill_the_head(cluster, nodes, job, seen)
    with Raylets(dashboard=True) as another:
        another.add(count=2)
        total = len(finished(seen.study)) + 2
        job = resubmit(another, seen, space, "after-the-head", "--set", f"search.trials={total}")
        job.until(lambda: job.status not in ("PENDING", "RUNNING"), LONG_S, "end of the study", alive=False)
        return job.status


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign."""
    parser = options(__doc__, n=5)
    parser.add_argument(
        "--most-s", type=float, default=20.0, help="a fault comes at most so long after work began"
    )
    asked = parser.parse_args(words)
    folder, began = Path(tempfile.mkdtemp(prefix="cluster-faults-")), time.monotonic()
    seen = Seen(folder / "runs" / "faults")
    status = campaign(folder, asked, seen)
    seen.look("the study ended", live=False)
    result = {
        "nodes killed": len(seen.moved_s),
        "faults in all": seen.faults - 1,
        "finished trials lost, changed or repeated": seen.lost_or_changed,
        "promises broken after a fault": seen.broken,
        **ending(seen.study),
        "the last job": status,
        "from a node's death to the next epoch of its trial elsewhere, s": seen.moved_s,
        "from a node's joining to work on it, s": seen.used_s,
        "from `ray job submit` to the first epoch (first, then resumed), s": seen.resumed_s,
        **seen.once,
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    publish("cluster_faults", result, asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
