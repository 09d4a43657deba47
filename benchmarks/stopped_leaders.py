"""Whether stopping discards the best teacher: leaders of replayed searches, against those of the whole table.

A search's leaders are those that would be confirmed: the best trial of each pruned teacher, by epochs reached, then by
value. The table's order is by the mean of each teacher's five best whole trials.
"""

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from benchmarks.hardware import hardware, versions
from benchmarks.replay import Way, replay
from benchmarks.stopping import halving, mean
from benchmarks.table import Table, read_table
from pdsearch.objectives import Aims
from pdsearch.search.confirmation.finalists import leaders

__all__ = ["main", "order"]

BEST, FINALISTS = 5, 3

Teacher = tuple[str, float]


def order(table: Table) -> dict[Teacher, float]:
    """Return the table's pruned teachers, best first, with what they are ordered by."""
    finals: defaultdict[Teacher, list[float]] = defaultdict(list)
    for point, curve in zip(table.points, table.curves, strict=True):
        if "prune.ratio" in point:
            finals[_teacher(point)].append(float(curve[-1]))
    means = {teacher: statistics.fmean(sorted(found)[-BEST:]) for teacher, found in finals.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def lead(seed: int, *, way: Way, table: Table, trials: int, workers: int) -> dict[str, float]:
    """Replay a search; return how its leaders agree with the table's, and the teachers it never tried."""
    trace = replay(table, way, seed=seed, workers=workers, enough=lambda t: len(t.played) >= trials)
    found = leaders(trace.records, Aims())
    pruned = [_teacher(record.params) for record in found if "prune.ratio" in record.params]
    known = order(table)
    best, both = next(iter(known)), [teacher for teacher in known if teacher in pruned]
    agreement = spearmanr([known[t] for t in both], [-pruned.index(t) for t in both])[0] if both[2:] else 0.0
    return {
        "the best teacher is a finalist": best in pruned[:FINALISTS],
        "rank correlation": float(agreement),
        "teachers tried": len(pruned),
        "loss of the best finalist, points": 100 * (known[best] - max(known[t] for t in pruned[:FINALISTS])),
        "epochs": trace.played[-1].spent,
    }


def _teacher(params: Mapping[str, Any]) -> Teacher:
    return params["prune.method"], params["prune.ratio"]


def main() -> None:
    """Replay, and print means with intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    table, rows = read_table(), {}
    print(f"{hardware()} {versions()}\nthe table: {order(table)}", flush=True)
    with ProcessPoolExecutor(asked.processes) as pool:
        for way in (Way("random", "random"), Way("TPE"), halving(6, 2), halving(4, 3)):
            one = partial(lead, way=way, table=table, trials=asked.trials, workers=asked.workers)
            rows[way.name] = list(pool.map(one, range(asked.seeds)))
            print(way.name, _means(rows[way.name]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n")


def _means(found: Sequence[Mapping[str, float]]) -> str:
    shown = ((name, mean([float(each[name]) for each in found])) for name in found[0])
    return "; ".join(f"{name} {middle:.2f} [{low:.2f}, {high:.2f}]" for name, (middle, low, high) in shown)


if __name__ == "__main__":
    main()
