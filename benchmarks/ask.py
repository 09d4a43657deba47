"""What does it cost to ask for the next point? The window of TPE against all of the history, at growing lengths.

The studies lie in memory, and single asks alternate. Processor time leaves out what else the machine was busy with.
"""

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from benchmarks.harness import Result, arguments, in_turns, show
from benchmarks.scripted import space
from pdsearch.search.history import History
from pdsearch.search.sampler import sampler, silence
from pdsearch.search.suggest import suggest
from pdsearch.space import Parameter

__all__ = ["main", "measure"]


def measure(length: int, parameters: tuple[Parameter, ...], *, turns: int) -> dict[str, list[float]]:
    """Return milliseconds of processor time of single asks of a study of that many random trials."""
    silence()
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=0))
    values = Random(0)
    for _ in range(length):
        trial = study.ask()
        suggest(trial, parameters)
        study.tell(trial, values.random())
    history = History(study)
    history.look()
    seeds = Random(1)

    def window() -> BaseSampler:
        return sampler("tpe", seed=seeds.randrange(2**31), kind="search", history=history.look())

    def everything() -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            seed = seeds.randrange(2**31)
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def ask(chosen: Callable[[], BaseSampler]) -> float:
        start = time.process_time()
        study.sampler = chosen()
        trial = study.ask()
        suggest(trial, parameters)
        took = (time.process_time() - start) * 1000
        study.tell(trial, values.random())
        return took

    ways = {"everything": lambda: ask(everything), "a window": lambda: ask(window)}
    return in_turns(ways, turns=turns, warm_up=3)


def main() -> None:
    """Measure at the lengths asked for."""
    parser = arguments(__doc__, turns=50)
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 1000, 10000])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parameters = space(Path(folder), trials=1, sampler="tpe").parameters
    settings = {"parameters": len(parameters)}
    results = [
        Result(
            f"ask at {length:,} trials",
            "ms of processor time",
            measure(length, parameters, turns=asked.turns),
            "everything",
            False,
            settings,
        )
        for length in asked.lengths
    ]
    show(results, asked.json)


if __name__ == "__main__":
    main()
