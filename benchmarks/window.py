"""Does a sampler that sees a window choose as well as one that sees all? Regret of both after the window is full.

Both go on from the same first trials with the same seeds, on a function with a known best value, or on real trials.
"""

import math
import statistics
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler

from benchmarks.harness import Result, arguments, show
from benchmarks.replay import NEIGHBOURS
from benchmarks.table import Table, read_table
from pdsearch.search.history import NEWEST, History
from pdsearch.search.sampler import sampler, silence
from pdsearch.search.suggest import suggest
from pdsearch.specs import derive_seed

__all__ = ["main", "regrets"]

Regret: TypeAlias = Callable[[optuna.Trial], float]


def regrets(seed: int, *, after: int, table: Table | None) -> tuple[float, float]:
    """Return the regret of a window and of everything, that many trials after the window was full."""
    silence()
    common = optuna.create_study()
    regret = _distance if table is None else _looked_up(table, seed)
    _go_on(common, NEWEST, seed, regret, windowed=True)
    found = []
    for windowed in (True, False):
        study = optuna.create_study()
        study.add_trials(common.get_trials(deepcopy=False))
        _go_on(study, after, seed, regret, windowed=windowed)
        # Of the trials since: how good are those that the sampler chose when it could know?
        found.append(statistics.fmean(sorted(t.value or 0.0 for t in study.trials[NEWEST:])[: after // 10]))
    return found[0], found[1]


def _go_on(study: optuna.Study, trials: int, seed: int, regret: Regret, *, windowed: bool) -> None:
    history = History(study)
    for number in range(len(study.trials), len(study.trials) + trials):
        if windowed:
            study.sampler = sampler("tpe", seed=seed, kind="search", history=history.look())
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                drawn = seed * 10**6 + number
                study.sampler = TPESampler(seed=drawn, multivariate=True, group=True, constant_liar=True)
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
    parser.add_argument("--after", type=int, default=300, help="trials after the window is full")
    parser.add_argument("--table", action="store_true", help="real digits trials instead of the function")
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    one = partial(regrets, after=asked.after, table=read_table() if asked.table else None)
    with ProcessPoolExecutor(asked.processes) as pool:
        pairs = list(pool.map(one, range(asked.turns)))
    figures = {"everything": [b for _, b in pairs], "a window": [a for a, _ in pairs]}
    differences = [a - b for a, b in pairs]
    half = 1.96 * statistics.stdev(differences) / math.sqrt(len(differences))
    mean = statistics.fmean(differences)
    notes = {
        "window minus everything, mean and 95 % interval": f"{mean:.2e} [{mean - half:.2e}, {mean + half:.2e}]"
    }
    settings = {"after": asked.after, "window": NEWEST}
    show(
        [
            Result(
                "window: mean regret of the best tenth",
                "points of accuracy" if asked.table else "distance",
                figures,
                "everything",
                False,
                settings,
                notes,
            )
        ],
        asked.json,
    )


if __name__ == "__main__":
    main()
