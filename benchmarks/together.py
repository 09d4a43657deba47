"""Are students whose seeds are trained as one network as accurate as those trained one by one? Same seeds, in pairs.

One search, then its confirmation twice from copies of its storage, `confirm.together` true and false: the teachers,
the settings and the seeds are the same, and only last bits of the gradients differ at first.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.hardware import hardware, versions
from benchmarks.stopping import mean

__all__ = ["compared", "main"]

SPACE = Path(__file__).parents[1] / "search_spaces" / "digits.yaml"

Student = tuple[str, int]
"""A setting and a seed."""


def confirmed(storage: Path, *settings: str) -> dict[Student, dict[str, float]]:
    """Run the space on a storage, serially; return accuracies in % by student, the confirmed ones only."""
    words = [word for setting in (*settings, f"storage={storage}") for word in ("--set", setting)]
    command = [sys.executable, "-m", "pdsearch", "run", str(SPACE), "--serial", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = pq.read_table(next(storage.glob("*/results.parquet"))).to_pylist()
    return {
        (row["setting"], row["student_seed"]): {
            part: 100 * row[f"{part}_accuracy"] for part in ("val", "test")
        }
        for row in rows
        if row["kind"] == "confirm" and row["state"] == "complete"
    }


def compared(
    stacked: Mapping[Student, Mapping[str, float]], single: Mapping[Student, Mapping[str, float]], part: str
) -> str:
    """Return a line on one part of the data: means, the paired difference with its 95 % interval, how many are equal.

    Raises:
        ValueError: The students are not the same.
    """
    if stacked.keys() != single.keys():
        raise ValueError("not the same students were confirmed")
    pairs = [(stacked[student][part], single[student][part]) for student in stacked]
    middle, low, high = mean([a - b for a, b in pairs])
    means = [statistics.fmean(column) for column in zip(*pairs, strict=True)]
    equal = sum(a == b for a, b in pairs)
    return (
        f"{part}: n = {len(pairs)}, as one network {means[0]:.3f} %, one by one {means[1]:.3f} %,"
        f" difference {middle:+.3f} points [{low:+.3f}, {high:+.3f}], {equal} pairs equal"
    )


def main() -> None:
    """Search once, confirm twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=25, help="of each of four configurations")
    parser.add_argument("--trials", type=int, default=5, help="that are searched first")
    asked = parser.parse_args()
    found: list[dict[Student, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), f"search.trials={asked.trials}"
        confirmed(folder / "searched", count, "confirm=off")
        for together in ("true", "false"):
            shutil.copytree(folder / "searched", folder / together)
            confirm = f"confirm={{teachers: 3, seeds: {asked.seeds}, together: {together}}}"
            found.append(confirmed(folder / together, count, confirm))
    print({"hardware": hardware(), "versions": versions()})
    for part in ("val", "test"):
        print(compared(found[0], found[1], part))


if __name__ == "__main__":
    main()
