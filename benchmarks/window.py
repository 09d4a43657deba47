"""Does a sampler that sees a window choose as well as one that sees all? Regret of both in a study longer than that.

All go on from the same first trials with the same seeds, on a function with a known best value, or on real trials; with
early stopping these are replayed in virtual time, and regrets are those of whole trials.
"""

import math
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import optuna

from benchmarks.harness import Result, arguments, show
from benchmarks.replay import NEIGHBOURS, Trace, replay
from benchmarks.stopping import halving
from benchmarks.table import Table, read_table
from pdsearch.search.history import NEWEST, History
from pdsearch.search.sampler import sampler, silence
from pdsearch.search.suggest import suggest
from pdsearch.specs import derive_seed

__all__ = ["main", "regrets", "stopped_regrets"]

Regret: TypeAlias = Callable[[optuna.Trial], float]

EVERYTHING = 10**9
"""A window that no study fills."""


def regrets(
    seed: int, *, windows: list[int], before: int, after: list[int], table: Table | None
) -> list[list[float]]:
    """Return the figures of each window, and of everything, at each horizon one after another.

    Args:
        seed: Of the first trials and of those since.
        windows: How many of the newest trials are seen.
        before: Trials that all have in common.
        after: Trials since, a horizon each.
        table: Real trials; without them, a function.
    """
    silence()
    common = optuna.create_study()
    regret = _distance if table is None else _looked_up(table, seed)
    _go_on(common, before, seed, regret, newest=NEWEST)
    found = []
    for newest in [*windows, EVERYTHING]:
        study = optuna.create_study()
        study.add_trials(common.get_trials(deepcopy=False))
        _go_on(study, max(after), seed, regret, newest=newest)
        since = [trial.value or 0.0 for trial in study.get_trials(deepcopy=False)[before:]]
        found.append([figure for count in after for figure in _figures(since[:count])])
    return found


def stopped_regrets(
    seed: int,
    *,
    windows: list[int],
    before: int,
    after: list[int],
    table: Table,
    stop: tuple[int, int],
    workers: int = 2,
) -> list[list[float]]:
    """Return the same figures of searches that halving stops trials of, those of whole trials only.

    A window that is not full yet proposes what everything does: what goes before is the same by itself.

    Args:
        seed: Of the search.
        windows: As in `regrets`, and so are the horizons, which count stopped trials too.
        before: Trials that ended first and are not looked at; no more than the least window.
        after: Trials since.
        table: Real trials.
        stop: The first rung, in epochs, and the factor.
        workers: Trials at a time.
    """

    def enough(trace: Trace) -> bool:
        return len(trace.played) >= before + max(after)

    found = []
    for newest in [*windows, EVERYTHING]:
        way = replace(halving(*stop), newest=newest)
        played = replay(table, way, seed=seed, workers=workers, enough=enough).played[before:]
        regret = [None if each.stopped else 100 * (table.best - each.value) for each in played]
        shares = [[one for one in regret[:count] if one is not None] for count in after]
        found.append([figure for share in shares for figure in _figures(share)])
    return found


def _figures(since: list[float]) -> tuple[float, float]:
    """Return the mean regret of the best tenth, those that a sampler chose when it could know, and of all."""
    return statistics.fmean(sorted(since)[: max(1, len(since) // 10)]), statistics.fmean(since)


def _go_on(study: optuna.Study, trials: int, seed: int, regret: Regret, *, newest: int) -> None:
    """Run trials by the product's sampler, which proposes what Optuna's does when it sees everything."""
    history = History(study, newest=newest)
    for _ in range(trials):
        study.sampler = sampler("tpe", seed=seed, kind="search", history=history.look())
        trial = study.ask()
        study.tell(trial, regret(trial))


def _looked_up(table: Table, seed: int) -> Regret:
    """Return how many points of accuracy a real trial near a point is below the best one."""
    parameters = table.space(Path("runs"), trials=1).parameters

    def regret(trial: optuna.Trial) -> float:
        near = table.nearest(suggest(trial, parameters), NEIGHBOURS)
        row = near[derive_seed(seed, "row", trial.number) % len(near)]
        return 100 * (table.best - float(table.curves[row, -1]))

    return regret


def _distance(trial: optuna.Trial) -> float:
    """Return how far a point of a mixed, conditional space is from the best one."""
    method = trial.suggest_categorical("method", ["none", "magnitude", "random"])
    value = {"magnitude": 0.0, "none": 0.03, "random": 0.05}[method]
    if method != "none":
        value += abs(trial.suggest_categorical("ratio", [0.36, 0.59, 0.79]) - 0.59) / 5
    value += (math.log(trial.suggest_float("temperature", 1, 20, log=True)) - 1.4) ** 2 / 4
    value += (trial.suggest_float("alpha", 0.1, 1) - 0.8) ** 2
    return value + (math.log10(trial.suggest_float("lr", 1e-3, 0.5, log=True)) + 1.2) ** 2 / 4


def main() -> None:
    """Compare over many seeds."""
    parser = arguments(__doc__, turns=100)
    parser.add_argument(
        "--windows", type=int, nargs="+", default=[NEWEST], help="newest trials that are seen"
    )
    parser.add_argument("--before", type=int, default=NEWEST, help="trials that all have in common")
    parser.add_argument("--after", type=int, nargs="+", default=[300], help="trials since, a horizon each")
    parser.add_argument("--table", action="store_true", help="real digits trials instead of the function")
    parser.add_argument(
        "--halving", type=int, nargs=2, metavar=("EPOCHS", "FACTOR"), help="with --table: stop trials early"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    if asked.halving and (not asked.table or asked.before > min(asked.windows)):
        parser.error("--halving goes with --table, and with --before of at most the least window")
    table = read_table() if asked.table else None
    counts = {"windows": asked.windows, "before": asked.before, "after": asked.after}
    one: Callable[[int], list[list[float]]] = partial(regrets, **counts, table=table)
    if asked.halving and table is not None:
        one = partial(stopped_regrets, **counts, table=table, stop=tuple(asked.halving))
    with ProcessPoolExecutor(asked.processes) as pool:
        found = list(pool.map(one, range(asked.first, asked.first + asked.turns)))
    unit = "points of accuracy" if asked.table else "distance"
    names = [*(f"the newest {newest}" for newest in asked.windows), "everything"]
    kinds = [(count, of) for count in asked.after for of in ("the best tenth", "all trials")]
    results = [
        _result(
            f"window: mean regret of {of}",
            unit,
            dict(
                zip(names, ([turn[way][place] for turn in found] for way in range(len(names))), strict=True)
            ),
            {"before": asked.before, "after": count, "first seed": asked.first, "halving": asked.halving},
        )
        for place, (count, of) in enumerate(kinds)
    ]
    show(results, asked.json)


def _result(name: str, unit: str, figures: dict[str, list[float]], settings: dict[str, Any]) -> Result:
    notes = {f"mean of {way}": f"{statistics.fmean(column):.4g}" for way, column in figures.items()}
    notes |= {
        f"{way} minus everything, mean and 95 % interval": _interval(column, figures["everything"])
        for way, column in figures.items()
        if way != "everything"
    }
    return Result(name, unit, figures, "everything", False, settings, notes)


def _interval(ours: list[float], theirs: list[float]) -> str:
    """Return the mean of paired differences and its 95 % interval."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(differences)
    half = 1.96 * statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{mean:+.2e} [{mean - half:+.2e}, {mean + half:+.2e}]"


if __name__ == "__main__":
    main()
