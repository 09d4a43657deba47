"""Duration of a search, and what it found: the digits by hand with Tune and with Optuna, and with pdsearch.

The three programs of `examples/compare/` are run as a user runs them. A search takes from the start of its process to
its best configuration; the five students with fresh seeds that judge this configuration are trained after that.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
from scipy import stats

from benchmarks.harness import Result, Target, arguments, show

PROGRAMS = Path(__file__).parents[1] / "examples" / "compare"
WAYS = {"tune by hand": "with_tune", "optuna by hand": "with_optuna", "pdsearch": "with_pdsearch"}
TUNE, OPTUNA, OURS = WAYS


def searched(way: str, trials: int, seed: int) -> dict[str, Any]:
    """Run one search; return its seconds, its processor seconds, the best configuration and its test accuracies."""
    words = [f"{WAYS[way]}.py", "--trials", str(trials), "--seed", str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAMS.parents[1])}
    start, used = time.perf_counter(), dict[int, float]()
    told: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", *words],
        cwd=PROGRAMS,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    Thread(target=_watch, args=(process.pid, used), daemon=True).start()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            if not told:
                told = {"seconds": time.perf_counter() - start, "processor": sum(used.values())}
            told |= json.loads(line)
    if process.wait() != 0:
        raise RuntimeError(f"{words[0]} ended with {process.returncode}")
    return told


def _watch(pid: int, used: dict[int, float]) -> None:
    """Keep account of the processor seconds of a process and of all below it, until it ends."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        while top.is_running():
            for process in [top, *top.children(recursive=True)]:
                with suppress(psutil.Error):
                    used[process.pid] = sum(process.cpu_times()[:2])
            time.sleep(0.3)


def interval(values: Sequence[float]) -> str:
    """Return the mean of accuracies with its 95 % t interval, in per cent."""
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    half = stats.t.ppf(0.975, len(values) - 1) * spread / len(values) ** 0.5
    return f"{100 * mean:.2f} [{100 * (mean - half):.2f}, {100 * (mean + half):.2f}]"


def _results(runs: dict[str, list[dict[str, Any]]], trials: int) -> list[Result]:
    settings = {"space": "digits", "trials": trials, "workers": 2}
    results = []
    for name, key in (("search", "seconds"), ("search, processor time", "processor")):
        figures = {way: [run[key] for run in found] for way, found in runs.items()}
        result = Result(name, "s", figures, TUNE, False, settings)
        result.notes = {"pdsearch, of optuna by hand": round(result.ratio(OURS, OPTUNA), 2)}
        results.append(result)
    results[0].targets = [Target("pdsearch, of tune by hand", results[0].ratio(OURS, TUNE), 4)]
    tests = {way: [100 * value for run in found for value in run["test"]] for way, found in runs.items()}
    judged = Result("test accuracy of the best, five fresh seeds a turn", "%", tests, TUNE, True, settings)
    notes: dict[str, Any] = {}
    for way, found in runs.items():
        notes |= {
            f"{way}, by turn": [interval(run["test"]) for run in found],
            f"{way}, mean of turns": f"{100 * statistics.fmean(statistics.fmean(r['test']) for r in found):.2f}",
            f"{way}, found": [{"best validation": run["best"], **run["config"]} for run in found],
        }
    judged.notes = notes
    return [*results, judged]


def main(given: Sequence[str] | None = None) -> None:
    """Run each way in turns."""
    parser = arguments(__doc__, turns=3)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0, help="of the first turn; each turn has another")
    asked = parser.parse_args(given)
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for seed in range(asked.seed, asked.seed + asked.turns):
        for way in WAYS:
            runs[way].append(searched(way, asked.trials, seed))
            print(way, seed, json.dumps(runs[way][-1]), file=sys.stderr, flush=True)
    show(_results(runs, asked.trials), asked.json)


if __name__ == "__main__":
    main()
