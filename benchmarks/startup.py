"""Waiting times at the terminal: `pdsearch --help`, and `pdsearch run` up to the first word of the first job.

Beside them stands what nothing can be faster than: an empty Python; and a script that imports PyTorch and Ray Tune,
starts a Ray and has a class trainable answer once.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness import Result, Target, arguments, in_turns, show

SPACE = """
study: startup
data: {{source: digits}}
teacher: {{model: convnet_s, seed: 0}}
student: {{model: convnet_s}}
train: {{teacher: {{epochs: 1, lr: 0.05}}, distill: {{epochs: 1, lr: 0.05}}}}
search: {{trials: 1}}
confirm: off
resources: {{cpu: 1, gpu: 0}}
storage: {storage}
"""

BY_HAND = """
import tempfile
import torch, ray
from ray import tune
class First(tune.Trainable):
    def step(self):
        import torch
        return {"done": True}
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
with tempfile.TemporaryDirectory() as folder:
    tune.Tuner(First, run_config=tune.RunConfig(storage_path=folder, verbose=0)).fit()
"""


def first_word(*words: str) -> float:
    """Return the seconds from the command to the first event that a job's worker sent; the rest is waited for."""
    with tempfile.TemporaryDirectory() as name:
        space = Path(name) / "space.yaml"
        space.write_text(SPACE.format(storage=Path(name) / "runs"))
        command = [sys.executable, "-m", "pdsearch", "run", str(space), "--progress", "json", *words]
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as running:
            assert running.stdout is not None
            heard = [time.perf_counter() - start for line in running.stdout if _from_a_worker(line)]
        if running.returncode or not heard:
            raise RuntimeError(f"{' '.join(command)} ended with {running.returncode}")
    return heard[0]


def _from_a_worker(line: str) -> bool:
    told = json.loads(line)
    return "id" in told and told["event"] not in ("started", "ended")


def _timed(*words: str) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        return time.perf_counter() - start

    return run


def main(words: Sequence[str] | None = None) -> None:
    """Measure both, in turns; the first turn warms the disk's cache and is left out."""
    parser = arguments(__doc__, turns=5)
    asked = parser.parse_args(words)
    empty, by_hand = "an empty Python", "PyTorch, Ray and Tune by hand"
    brief = {empty: _timed("-c", "pass"), "pdsearch --help": _timed("-m", "pdsearch", "--help")}
    whole = {
        by_hand: _timed("-c", BY_HAND),
        "pdsearch run, Ray": first_word,
        "pdsearch run --serial": lambda: first_word("--serial"),
    }
    shown = in_turns(brief, turns=3 * asked.turns)
    first = in_turns(whole, turns=asked.turns)
    helped = Target("pdsearch --help, s", statistics.median(shown["pdsearch --help"]), 0.3, at_least=False)
    heard = Target("pdsearch run, Ray, s", statistics.median(first["pdsearch run, Ray"]), 10, at_least=False)
    results = [
        Result("startup: help", "s", shown, empty, False, targets=[helped]),
        Result("startup: first word of the first job", "s", first, by_hand, False, targets=[heard]),
    ]
    show(results, asked.json)


if __name__ == "__main__":
    main()
