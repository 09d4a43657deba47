"""A search as a job of Slurm that is warned, preempted, queued again, cancelled, or loses a node, and its trials.

Real daemons on one machine: a controller, and nodes that are told apart by their loopback addresses. The jobs are
clusters/slurm.sh, on one node and on two, over one study, and as an array over two; each interruption comes while
trials run, and the next one when the search has got on. GPUs are numbers: the trials train on CPUs.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.campaign import ending, finished, options, publish, same
from benchmarks.churn import SPACE
from benchmarks.slurm_nodes import Job, Slurm, missing
from benchmarks.submitted import Heard

SOON_S = 600


class Campaign:
    """A study, its job, and what was seen of them.

    Args:
        slurm: The cluster.
        folder: Where jobs are submitted.
        study: Its name.
    """

    def __init__(self, slurm: Slurm, folder: Path, study: str = "churn") -> None:
        self.slurm, self.folder, self.study = slurm, folder, folder / "runs" / study
        self.rows: list[dict[str, Any]] = []
        self.before: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, dict[str, Any]] = {}
        self.wrong = 0

    def submit(self, nodes: int, *where: str, trials: int = 100000) -> Job:
        """Submit the search on so many nodes, with more options of sbatch; %a is the index in an array."""
        study = "churn" if self.study.name == "churn" else "array-%a"
        words = ["space.yaml", "--progress", "json", "--set", f"study={study}"]
        words += ["--set", f"search.trials={trials}"]
        return self.slurm.submit(nodes, ["--partition=at_once", "--time=30", *where], words, self.folder)

    def works(self, job: Job) -> None:
        """Wait until a trial gets on."""
        since = len(job.lines)
        job.until(lambda: any(Heard(0, line).works for line in job.lines[since:]), SOON_S, "epoch")

    def interrupt(self, what: str, job: Job, how: Callable[[Job], object]) -> None:
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
        self._row(what, job, drains, f"started again after {again} s")

    def cancel(self, job: Job, *, told: bool = True) -> None:
        """Cancel the job, and wait until nothing of it is left."""
        drains, began = _drains(job), time.monotonic()
        self.slurm.tell("scancel", job)
        job.until(lambda: job.state == "CANCELLED" and not self.slurm.left(), 90, "end that leaves nothing")
        if told:
            self._row("scancel", job, drains, f"nothing left after {time.monotonic() - began:.0f} s")

    def lose_a_node(self, job: Job) -> None:
        """Lose the second node of a job: the search goes on on the first, in the same start of the job."""
        starts, drains, lost = job.restarts, _drains(job), self.slurm.nodes_of(job)[1]
        began = time.monotonic()
        self.slurm.lose_node(lost)
        self.works(job)
        first = round(time.monotonic() - began)
        job.until(lambda: "DOWN" in self.slurm.state_of(lost), SOON_S, "node that is down")
        noticed = round(time.monotonic() - began)
        self.works(job)
        told = (
            f"next epoch after {first} s; Slurm called the node down after {noticed} s, and the job went on"
        )
        self._row("the second of two nodes lost", job, drains, told)
        if job.restarts != starts:
            raise SystemExit("the whole job was started again for a node that was lost")
        shutil.rmtree(f"/tmp/pd-{job.number}.1")  # Of a machine that is lost.
        self.slurm.start_node(lost)
        job.until(lambda: self.slurm.state_of(lost) == "IDLE", SOON_S, "node that is up again")

    def finish(self, *where: str, tasks: Sequence[str] = ("",)) -> list[str]:
        """Let the study end, or those of an array's tasks; return how the jobs ended."""
        job = self.submit(2 if tasks == ("",) else 1, *where, trials=len(finished(self.study)) + 2)
        ends = [job.task(task) if task else job for task in tasks]
        for end in ends:
            end.until(lambda end=end: end.state not in _GOING, SOON_S, "end")  # type: ignore[misc]
        self.compare()
        return [end.state for end in ends]

    def compare(self) -> None:
        """Hold what has finished against what had."""
        after = finished(self.study)
        self.wrong += not same(self.before, after)
        self.before = after

    def _row(self, what: str, job: Job, drains: int, told: str) -> None:
        self.compare()
        self.rows.append(
            {
                "interruption": what,
                "nodes": job.nodes,
                "drained": _drains(job) - drains,
                "afterwards": told,
                "finished by then": len(self.before),
                "load": round(os.getloadavg()[0], 1),
            }
        )
        print(self.rows[-1], file=sys.stderr)


_GOING = ("PENDING", "RUNNING", "COMPLETING")


def _drains(job: Job) -> int:
    return sum("stopping: running trials save" in line for line in job.lines)


def _warn(seen: Campaign, job: Job) -> None:
    seen.slurm.tell("scancel", "--signal=USR1", job)


def _ways(seen: Campaign, nodes: int) -> None:
    """Interrupt jobs on so many nodes in every way that a person or Slurm has."""
    slurm = seen.slurm

    def preempt(job: Job) -> None:
        where = [
            "--partition=first",
            f"--nodelist={','.join(slurm.nodes_of(job))}",
            "--exclusive",
            "--time=1",
        ]
        slurm.call("sbatch", *where, "--output=/dev/null", "--wrap=sleep 5")

    job = seen.submit(nodes)
    seen.works(job)
    seen.interrupt("warned: scancel --signal=USR1", job, partial(_warn, seen))
    seen.interrupt("preempted at once", job, preempt)
    seen.interrupt("scontrol requeue", job, lambda job: slurm.tell("scontrol", "requeue", job))
    seen.cancel(job)
    job = seen.submit(nodes, "--partition=graceful")
    seen.works(job)
    seen.interrupt("preempted with a period of grace", job, preempt)
    seen.cancel(job)


def _node(seen: Campaign) -> None:
    """Lose a node."""
    job = seen.submit(2)
    seen.works(job)
    seen.lose_a_node(job)
    seen.cancel(job)


def _time(seen: Campaign) -> None:
    """Come to the end of a job's time: the script asks to be warned two minutes before, and this is half of it."""
    for nodes in (1, 2):
        job = seen.submit(nodes, "--time=4")
        seen.works(job)
        seen.interrupt("the end of its time (--time=4)", job, lambda _job: None)
        seen.cancel(job, told=False)


def _array(seen: Campaign) -> None:
    """Warn one task of an array after the other; the other one is left alone, and both come to their end."""
    tasks = ("0", "1")
    studies = [Campaign(seen.slurm, seen.folder, f"array-{task}") for task in tasks]
    whole = studies[0].submit(1, "--array=0-1")
    jobs = [whole.task(task) for task in tasks]
    for study, job in zip(studies, jobs, strict=True):
        study.works(job)
    for number, (study, job) in enumerate(zip(studies, jobs, strict=True)):
        before = [job.restarts for job in jobs]
        study.interrupt(f"task {number} of an array of two warned", job, partial(_warn, seen))
        if sum(job.restarts for job in jobs) != sum(before) + 1:
            raise SystemExit("the whole array was started again for one task")
    seen.slurm.tell("scancel", whole)
    whole.until(lambda: not seen.slurm.left(), 90, "end that leaves nothing")
    ends = studies[0].finish("--array=0-1", tasks=tasks)
    for study, end in zip(studies, ends, strict=True):
        study.compare()
        seen.rows += study.rows
        seen.wrong += study.wrong
        seen.arrays[study.study.name] = {**ending(study.study), "the last job": end}


STEPS: dict[str, Callable[[Campaign], None]] = {
    "one": partial(_ways, nodes=1),
    "two": partial(_ways, nodes=2),
    "node": _node,
    "time": _time,
    "array": _array,
}


def campaign(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Interrupt so often; return what was seen."""
    (folder / "space.yaml").write_text(SPACE.format(storage=folder / "runs", epochs=asked.epochs))
    with Slurm() as slurm:
        seen = Campaign(slurm, folder)
        for _ in range(asked.n):
            for step in asked.only:
                STEPS[step](seen)
        (last,) = seen.finish()
        version = slurm.call("sinfo", "--version").strip()
    loads = [row["load"] for row in seen.rows]
    return {
        "slurm": version,
        "interruptions": seen.rows,
        "finished trials lost, changed or repeated": seen.wrong,
        "studies": {"churn": {**ending(seen.study), "the last job": last}, **seen.arrays},
        "load (least, median, most)": [round(of(loads), 1) for of in (min, statistics.median, max)],
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the interruptions as Markdown."""
    lines = [
        "| Interruption | Nodes | Drained | Afterwards | Trials finished by then |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        drained = "yes" if row["drained"] else "no"
        cells = (row["interruption"], row["nodes"], drained, row["afterwards"], row["finished by then"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def show(results: Path, content: str) -> None:
    """Put a table into the page slurm.md beside a file of results, after a comment of that file's name."""
    page, mark = results.with_name("slurm.md"), f"<!-- {results.name} -->\n"
    if page.exists() and mark in (text := page.read_text(encoding="utf-8")):
        before, _, after = text.partition(mark)
        _, end, rest = after.partition("<!-- end -->")
        page.write_text(f"{before}{mark}\n{content}\n{end}{rest}", encoding="utf-8")


def main(words: Sequence[str] | None = None) -> None:
    """Run the campaign."""
    parser = options(__doc__, n=3)
    parser.add_argument("--epochs", type=int, default=3, help="of a student")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="these steps")
    asked = parser.parse_args(words)
    if missing():
        print(f"skipped: Slurm is not installed here ({', '.join(missing())}); Debian: slurm-wlm, munge")
        return
    folder, began = Path(tempfile.mkdtemp(prefix="slurm-")), time.monotonic()
    seen = campaign(folder, asked)
    publish("slurm", {**seen, "minutes": round((time.monotonic() - began) / 60, 1)}, asked)
    if asked.json:
        show(asked.json, table(seen["interruptions"]))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
