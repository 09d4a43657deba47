"""A search as a job of Slurm that is warned, preempted, queued again, cancelled, or loses a node, and its trials.

Real daemons on one machine: a controller, and nodes that are told apart by their loopback addresses. The jobs are
clusters/slurm.sh, on one node and on two, over one study; each interruption comes while trials run, and the next one
when the search has got on. GPUs are numbers: the trials train on CPUs.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.churn import SPACE
from benchmarks.slurm_nodes import Job, Slurm, missing
from benchmarks.submitted import Heard

SOON_S = 600


class Campaign:
    """The study, its job, and what was seen of them.

    Args:
        slurm: The cluster.
        folder: Where jobs are submitted.
    """

    def __init__(self, slurm: Slurm, folder: Path) -> None:
        self.slurm, self.folder, self.study = slurm, folder, folder / "runs" / "churn"
        self.rows: list[dict[str, Any]] = []
        self.loads: list[float] = []
        self.before: dict[str, dict[str, Any]] = {}
        self.wrong = 0

    def submit(self, nodes: int, partition: str, *, trials: int = 100000, minutes: int = 30) -> Job:
        """Submit the search on so many nodes."""
        where = [f"--partition={partition}", f"--time={minutes}"]
        words = ["space.yaml", "--progress", "json", "--set", f"search.trials={trials}"]
        return self.slurm.submit(nodes, where, words, self.folder)

    def works(self, job: Job) -> None:
        """Wait until a trial gets on."""
        since = len(job.lines)
        job.until(lambda: any(Heard(0, line).works for line in job.lines[since:]), SOON_S, "epoch")

    def interrupt(self, what: str, job: Job, how: Callable[[Job], None]) -> None:
        """Interrupt a job whose trials run, and wait until the search got on again.

        Args:
            what: Of the row in the table.
            job: The search.
            how: The interruption.
        """
        starts, drains, began = job.restarts, _drains(job), time.monotonic()
        how(job)
        job.until(lambda: job.restarts > starts and job.state == "RUNNING", SOON_S, "start again")
        again = round(time.monotonic() - began)
        self.works(job)
        more = {"drained": _drains(job) - drains, "started again after (s)": again}
        self._row(what, job, more)

    def cancel(self, job: Job) -> None:
        """Cancel the job, and wait until nothing of it is left."""
        drains, began = _drains(job), time.monotonic()
        self.slurm.call("scancel", str(job.number))
        job.until(lambda: job.state == "CANCELLED" and not self.slurm.left(), 90, "end that leaves nothing")
        gone = round(time.monotonic() - began)
        self._row("scancel", job, {"drained": _drains(job) - drains, "nothing left after (s)": gone})

    def lose_a_node(self, job: Job) -> None:
        """Lose the second node of a job: the search goes on on the first, in the same start of the job."""
        starts = job.restarts
        lost = self.slurm.nodes_of(job)[1]
        began = time.monotonic()
        self.slurm.lose_node(lost)
        job.until(lambda: self.slurm.is_down(lost), SOON_S, "node that is down")
        self.works(job)
        self._row("a node of two lost", job, {"next epoch after (s)": round(time.monotonic() - began)})
        if job.restarts != starts:
            raise SystemExit("the whole job was started again for a node that was lost")
        self.slurm.start_node(lost)

    def finish(self) -> str:
        """Let the study end, on two nodes; return how the job ended."""
        job = self.submit(2, "at_once", trials=len(finished(self.study)) + 2)
        job.until(lambda: job.state not in ("PENDING", "RUNNING", "COMPLETING"), SOON_S, "end")
        self._compare()
        return job.state

    def _row(self, what: str, job: Job, more: dict[str, Any]) -> None:
        self._compare()
        row = {"interruption": what, "nodes": job.nodes, "finished before": len(self.before), **more}
        self.rows.append(row)
        self.loads.append(round(os.getloadavg()[0], 1))
        print(f"{row}, load {self.loads[-1]}", file=sys.stderr)

    def _compare(self) -> None:
        after = finished(self.study)
        self.wrong += not same(self.before, after)
        self.before = after


def _drains(job: Job) -> int:
    return sum("stopping: running trials save" in line for line in job.lines)


def turn(seen: Campaign, nodes: int) -> None:
    """Interrupt jobs on so many nodes in every way."""
    slurm = seen.slurm

    def preempt(job: Job) -> None:
        where = f"--nodelist={','.join(slurm.nodes_of(job))}"
        urgent = [
            "--partition=first",
            where,
            "--exclusive",
            "--time=1",
            "--output=/dev/null",
            "--wrap=sleep 5",
        ]
        slurm.call("sbatch", *urgent)

    job = seen.submit(nodes, "at_once")
    seen.works(job)
    seen.interrupt(
        "warned: scancel --signal=USR1", job, lambda job: slurm.tell("scancel", "--signal=USR1", job)
    )
    seen.interrupt("preempted at once", job, preempt)
    seen.interrupt("scontrol requeue", job, lambda job: slurm.tell("scontrol", "requeue", job))
    seen.cancel(job)
    job = seen.submit(nodes, "graceful")
    seen.works(job)
    seen.interrupt("preempted with a period of grace", job, preempt)
    if nodes > 1:
        seen.lose_a_node(job)
    seen.cancel(job)


def campaign(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Interrupt so often; return what was seen."""
    (folder / "space.yaml").write_text(SPACE.format(storage=folder / "runs", epochs=asked.epochs))
    with Slurm() as slurm:
        seen = Campaign(slurm, folder)
        for _ in range(asked.n):
            for nodes in (1, 2):
                turn(seen, nodes)
            job = seen.submit(1, "at_once", minutes=4)
            seen.works(job)
            seen.interrupt("the end of its time", job, lambda _job: None)
            seen.cancel(job)
        last = seen.finish()
        version = slurm.call("sinfo", "--version").strip()
    return {
        "slurm": version,
        "interruptions": seen.rows,
        "finished trials lost, changed or repeated": seen.wrong,
        **ending(seen.study),
        "the last job": last,
        "load (least, median, most)": [round(of(seen.loads), 1) for of in (min, statistics.median, max)],
    }


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign."""
    parser = options(__doc__, n=3)
    parser.add_argument("--epochs", type=int, default=3, help="of a student")
    asked = parser.parse_args(words)
    if missing():
        print(f"skipped: Slurm is not installed here ({', '.join(missing())}); Debian: slurm-wlm, munge")
        return
    folder, began = Path(tempfile.mkdtemp(prefix="slurm-")), time.monotonic()
    seen = campaign(folder, asked)
    publish("slurm", {**seen, "minutes": round((time.monotonic() - began) / 60, 1)}, asked)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
