"""A cluster that Ray's own autoscaler grows from nothing for a search, and lets go again, several times over.

The settings are those of cluster.yaml's workers (`min_workers: 0`), but for what one machine lacks: a node is a raylet
of one CPU, there are few of them, and an idle one goes after seconds. The same study is submitted again and again with
`ray job submit --working-dir`, each time for more trials, when no node is left of the time before. Nodes are counted
every second: how their number grows from none, and shrinks to none.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.churn import SOON_S, SPACE
from benchmarks.raylets import Raylets
from benchmarks.submitted import Submitted

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


def settings(nodes: int, idle_s: float) -> dict[str, Any]:
    """Return cluster.yaml's settings of workers, for nodes of one CPU each that one machine can hold."""
    known = yaml.safe_load(CLUSTER.read_text())
    (worker,) = (
        kind for name, kind in known["available_node_types"].items() if name != known["head_node_type"]
    )
    kind = {**worker, "resources": {"CPU": 1}, "max_workers": nodes, "node_config": {}}
    kinds = {"available_node_types": {"worker": kind}}
    return {"max_workers": nodes, "idle_timeout_minutes": idle_s / 60, **kinds}


def raylets(cluster: Raylets) -> int:
    """Return how many nodes there are beside the head: raylets that its autoscaler started."""
    found = 0
    for process in cluster.head.processes():
        try:
            found += process.name() == "raylet" and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
    return found - 1


class Counts:
    """The number of nodes beside the head, each time that it changed.

    Args:
        cluster: Whose nodes.
    """

    def __init__(self, cluster: Raylets) -> None:
        self._cluster, self._began, self._last = cluster, time.monotonic(), -1
        self._words: list[str] = []
        self.look()

    @property
    def last(self) -> int:
        """The number when it was looked at last."""
        return self._last

    def look(self, what: str = "") -> int:
        """Count them, and note what happened at this moment; return the number."""
        count, seconds = raylets(self._cluster), time.monotonic() - self._began
        if count != self._last or what:
            self._words.append(f"{count} at {seconds:.0f}" + (f" ({what})" if what else ""))
        self._last = count
        return count

    def __str__(self) -> str:
        return ", ".join(self._words)


def campaign(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Grow and shrink so often; return what was seen."""
    space = folder / "sent" / "space.yaml"
    space.parent.mkdir()
    space.write_text(SPACE.format(storage=folder / "runs", epochs=asked.epochs))
    study, wrong = folder / "runs" / "churn", 0
    before: dict[str, dict[str, Any]] = {}
    nodes, ends, loads = list[str](), list[str](), list[float]()
    with Raylets(dashboard=True, scaled=settings(asked.nodes, asked.idle_s)) as cluster:
        for turn in range(1, asked.n + 1):
            job = Submitted(cluster, space, f"turn-{turn}", ("--set", f"search.trials={turn * asked.trials}"))
            counts = Counts(cluster)
            while job.status in ("PENDING", "RUNNING"):
                job.pause(1)
                counts.look()
            counts.look("job ended")
            after = finished(study)
            wrong += not same(before, after)
            before = after
            loads.append(round(os.getloadavg()[0], 1))
            since = time.monotonic()
            while counts.look() and time.monotonic() - since < SOON_S:
                time.sleep(1)
            nodes.append(str(counts))
            ends.append(f"{job.status}, {counts.last} node(s) left after {time.monotonic() - since:.0f} s")
            print(f"turn {turn}: {nodes[-1]}; {ends[-1]}; {len(after)} finished", file=sys.stderr)
    return {
        "nodes of each job, at second": nodes,
        "each job, and the nodes after it": ends,
        "finished trials lost, changed or repeated": wrong,
        **ending(study),
        "load": loads,
    }


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign."""
    parser = options(__doc__, n=3)
    parser.add_argument("--epochs", type=int, default=20, help="of a trial")
    parser.add_argument("--trials", type=int, default=8, help="of each turn")
    parser.add_argument("--nodes", type=int, default=3, help="at most")
    parser.add_argument("--idle-s", type=float, default=20.0, help="after which an idle node goes")
    asked = parser.parse_args(words)
    folder = Path(tempfile.mkdtemp(prefix="autoscaled-"))
    publish("autoscaled", campaign(folder, asked), asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
