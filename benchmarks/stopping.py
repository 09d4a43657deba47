"""What early stopping saves and costs: searches of a table of real trials, replayed many times.

Each way of searching is replayed with the same seeds, two workers, virtual time. Asked of each: trials and epochs until
a whole trial is within 0.2 points of what the table's best 1 % reach (the very best was lucky, and finding it would be
too); the best accuracy after a fixed number of epochs.
"""

import argparse
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner
from optuna.samplers import TPESampler
from scipy.stats import binom

from benchmarks.hardware import hardware, versions
from benchmarks.replay import Trace, Way, replay
from benchmarks.table import DIGITS, Table, read_table

NEAR = 0.002
"""Near the best: 0.2 points of accuracy."""

BUDGETS = (12, 24)
"""What was found is asked after the epochs of so many whole trials."""

LONGEST = 60
"""Whole trials after whose epochs a search that has not found it is given up."""


def halving(min_epochs: int, factor: int) -> Way:
    """Return TPE with successive halving."""
    stop = {"halving": {"min_epochs": min_epochs, "factor": factor}}
    return Way(f"TPE, halving {min_epochs}/{factor}", stop=stop)


def ways(epochs: int) -> list[Way]:
    """Return what is compared: without stopping, other samplers and rules, and a few rungs and factors."""
    rule = halving(4, 3)
    usual = replace(rule, name=f"{rule.name}, a tenth of all good", sampler=f"{__spec__.name}:optunas_number")
    early = halving(2, 3)
    band = replace(early, name="TPE, Hyperband 2/3", rule=partial(_hyperband, 2, epochs, 3))
    at_random = Way("random, halving 4/3", "random", rule.stop)
    grid = [halving(*pair) for pair in ((6, 2), (6, 3), (4, 2))]
    return [Way("random", "random"), Way("TPE"), at_random, rule, band, *grid, usual, early]


def optunas_number(_study: optuna.Study, seed: int) -> TPESampler:
    """Return a sampler that takes as many trials for good ones as Optuna does: a tenth of all that ended."""
    return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def _hyperband(min_epochs: int, epochs: int, factor: int) -> BasePruner:
    return HyperbandPruner(min_resource=min_epochs, max_resource=epochs, reduction_factor=factor)


def play(seed: int, *, way: Way, table: Table, workers: int) -> dict[str, float]:
    """Replay one search; return what is asked of it. What was not found took infinitely many trials."""
    at_least = BUDGETS[-1] * table.epochs

    def enough(trace: Trace) -> bool:
        spent = trace.played[-1].spent if trace.played else 0
        found = trace.first(table.good - NEAR) is not None
        return spent >= LONGEST * table.epochs or (found and spent >= at_least)

    trace = replay(table, way, seed=seed, workers=workers, enough=enough)
    index = trace.first(table.good - NEAR)
    found = {"trials": math.inf, "epochs": math.inf, "time": math.inf}
    if index is not None:
        ended = trace.played[index]
        found = {"trials": index + 1, "epochs": ended.spent, "time": ended.time}
    for budget in BUDGETS:
        found[f"best {budget}"] = 100 * trace.best(epochs=budget * table.epochs)
    return found


def median(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % interval from order statistics, which needs no distribution.

    Infinite values are fine: a search that did not find what it looked for.
    """
    ordered = sorted(values)
    low = max(0, int(binom.ppf(0.025, len(ordered), 0.5)) - 1)
    return statistics.median(ordered), ordered[low], ordered[len(ordered) - 1 - low]


def mean(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval."""
    middle = statistics.fmean(values)
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    return middle, middle - half, middle + half


def summary(found: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float, float]]:
    """Return the medians of what it took and the means of what was found, each with its interval."""
    took = {name: median([each[name] for each in found]) for name in ("trials", "epochs", "time")}
    best = {f"best {b}": mean([each[f"best {b}"] for each in found]) for b in BUDGETS}
    return {**took, **best}


def show(rows: Mapping[str, Sequence[Mapping[str, float]]], epochs: int) -> str:
    """Return a Markdown table of all ways."""
    heads = ["", "found", "trials", "epochs", "time", *(f"best %, {b * epochs} epochs" for b in BUDGETS)]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, found in rows.items():
        share = sum(math.isfinite(each["trials"]) for each in found)
        cells = [_cell(value, 0 if i < 3 else 2) for i, value in enumerate(summary(found).values())]
        lines.append("| " + " | ".join([name, f"{share} of {len(found)}", *cells]) + " |")
    return "\n".join(lines)


def _cell(value: tuple[float, float, float], digits: int) -> str:
    middle, low, high = (f"{v:,.{digits}f}" if math.isfinite(v) else "∞" for v in value)
    return f"{middle} [{low}, {high}]"


def main() -> None:
    """Replay, print the table, and write every figure if a file is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=DIGITS)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    table = read_table(asked.table)
    about: dict[str, Any] = {"hardware": hardware(), "versions": versions(), "workers": asked.workers}
    print(
        f"{len(table.points)} trials, best {table.best:.2%}, 1 % reach {table.good:.2%}; {about}", flush=True
    )
    rows: dict[str, list[dict[str, float]]] = {}
    with ProcessPoolExecutor(asked.processes) as pool:
        for way in ways(table.epochs):
            one = partial(play, way=way, table=table, workers=asked.workers)
            rows[way.name] = list(pool.map(one, range(asked.seeds)))
            print(show({way.name: rows[way.name]}, table.epochs), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    print("\n" + show(rows, table.epochs))


if __name__ == "__main__":
    main()
