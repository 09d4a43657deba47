"""Records the table that replays look up: whole trials of a space, trained by the product itself.

The space is searched at random by the serial runner on one thread, no trial is stopped early, and each configuration is
trained once (one student seed). It can be interrupted at any time: the same command goes on.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hardware import hardware, versions
from benchmarks.table import DIGITS, Table, write_table
from pdsearch.config import load
from pdsearch.io.record_files import read_finished

SPACE = DIGITS.with_suffix(".yaml")
SHOWN = ("prune.method", "prune.ratio")


def train(space: Path, storage: Path, trials: int) -> None:
    """Run the trials that are missing, one at a time."""
    overrides = [f"search.trials={trials}", f"storage={storage}"]
    command = [sys.executable, "-m", "pdsearch", "run", str(space), "--serial", "--progress", "lines"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *(f"--set={each}" for each in overrides)], check=True, env=one_thread)


def collect(space: Path, storage: Path, trials: int, *, about: Mapping[str, Any]) -> Table:
    """Return the first whole search trials of a study, in the order in which they were asked."""
    searched = load(space)
    records = read_finished(storage / searched.study / "trials").found.values()
    whole = [record for record in records if record.kind == "search" and record.state == "complete"]
    whole = sorted(whole, key=lambda record: record.number or 0)[:trials]
    curves = [[report.val_accuracy for report in record.reports] for record in whole]
    teachers = {
        " ".join(str(r.params[name]) for name in SHOWN if name in r.params): r.teacher.val_accuracy
        for r in whole
        if r.teacher
    }
    alone = [record.values["student.val_accuracy"] for record in records if record.kind == "baseline"]
    measured = {
        "trials": len(whole),
        "seconds_of_training": round(sum(record.cost.seconds for record in whole)),
        "teachers_val_accuracy": teachers,
        "student_alone_val_accuracy": alone[0] if alone else None,
        "recorded": [whole[0].started_at, whole[-1].finished_at],
        "record_versions": dict(whole[0].versions),
    }
    points = [dict(record.params) for record in whole]
    return Table(dict(searched.to_json()), points, np.array(curves), {**about, **measured})


def main() -> None:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", type=Path, default=SPACE)
    parser.add_argument("--trials", type=int, default=620)
    parser.add_argument("--storage", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=DIGITS)
    asked = parser.parse_args()
    machine = hardware()  # How busy it was before.
    train(asked.space, asked.storage, asked.trials)
    command = f"python -m benchmarks.record_table --space {asked.space.name} --trials {asked.trials}"
    seeds = "teacher.seed 0, distill.seed 0, data.view_seed 0, data.split_seed 0, search.seed 0 (random)"
    about = {"command": command, "seeds": seeds, "hardware": machine, "versions": versions()}
    table = collect(asked.space, asked.storage, asked.trials, about=about)
    write_table(table, asked.out)
    print(f"{len(table.points)} trials, best {table.best:.2%}, {asked.out.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
