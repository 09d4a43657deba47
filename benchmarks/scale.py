"""What the driver takes of a trial, and the sampler of an ask, as a study grows: processor time and memory.

Trials answer at once, so that everything measured is the driver's own: sampling, ledger, journal and records on disk.
"""

import dataclasses
import resource
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Result, Target, arguments, show
from benchmarks.scripted import drive, end, space
from pdsearch.observer import Observer
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.study import open_as_driver


def measure(folder: Path, lengths: list[int], *, measured: int, slots: int) -> list[Result]:
    """Grow a study to each length with random points, then time single trials that are sampled by TPE."""
    short = space(folder, trials=10**6, sampler="random")
    asks: dict[str, list[float]] = {}
    wholes: dict[str, list[float]] = {}
    busy: dict[str, list[float]] = {}
    notes: dict[str, float] = {}
    with open_as_driver(short, Observer()) as study:
        ledger = study.scheduler.search
        for length in lengths:
            ledger.space = short
            drive(ledger, length - ledger.finished, slots=slots)
            tpe = dataclasses.replace(short.search, sampler="tpe")
            ledger.space = dataclasses.replace(short, search=tpe)
            name = f"{length:,} trials"
            asks[name], wholes[name], busy[name] = _timed(ledger, measured)
            notes[f"memory at {name}, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        start = time.perf_counter()
    with open_as_driver(short, Observer()):
        notes["seconds to open again"] = round(time.perf_counter() - start, 2)
    first, settings = f"{lengths[0]:,} trials", {"parameters": 6, "slots": slots}
    last = f"{lengths[-1]:,} trials"
    quick = Target(f"an ask at {last}, ms", statistics.median(asks[last]), 100, at_least=False)
    return [
        Result("scale: an ask, TPE", "ms of processor time", asks, first, False, settings, targets=[quick]),
        Result("scale: a trial, ask to record", "ms", wholes, first, False, settings),
        Result(
            "scale: a trial, ask to record",
            "ms of processor time",
            busy,
            first,
            False,
            settings,
            notes,
        ),
    ]


def _timed(ledger: Ledger, trials: int) -> tuple[list[float], list[float], list[float]]:
    asks, wholes, busy = [], [], []
    for _ in range(trials):
        start, worked = time.perf_counter(), time.process_time()
        job = ledger.ask()
        asked = time.process_time()
        if job is None:
            break
        end(ledger, job)
        asks.append((asked - worked) * 1000)
        wholes.append((time.perf_counter() - start) * 1000)
        busy.append((time.process_time() - worked) * 1000)
    return asks, wholes, busy


def main() -> None:
    """Measure at the lengths asked for."""
    parser = arguments(__doc__, turns=50)
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 500, 1000, 3000])
    parser.add_argument("--slots", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), asked.lengths, measured=asked.turns, slots=asked.slots)
    show(results, asked.json)


if __name__ == "__main__":
    main()
