"""The memory each further worker costs: processes that hold the data and teacher outputs in their own pages.

A page that several processes map counts in parts (PSS). What a worker adds beyond the first is what matters.
"""

import multiprocessing
import statistics
import tempfile
from collections.abc import Callable
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Result, Target, arguments, show
from pdsearch.artifacts import Store
from pdsearch.pipeline.cache import tensors

KEY = "0" * 64


def main() -> None:
    """Let processes load the same artifact, one after another, all of them alive to the end."""
    parser = arguments(__doc__, turns=4)
    parser.add_argument("--megabytes", type=int, default=160, help="of the artifact; CIFAR has about that")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _store(Path(name), asked.megabytes)
        figures = {
            way: _added(asked.turns, Path(name), load)
            for way, load in (("a copy each", _copied), ("ours", _mapped), ("no data at all", _nothing))
        }
    settings = {"artifact, MB": asked.megabytes, "workers": asked.turns}
    result = Result("memory: added by a worker", "MB, PSS of all", figures, "a copy each", False, settings)
    # The first one maps the file, so it has the only copy; what a later one adds is compared with one without data.
    later = {way: statistics.median(values[1:]) for way, values in figures.items()}
    copy = (later["ours"] - later["no data at all"]) / asked.megabytes
    result.targets = [Target("copies of the data in a worker beyond the first", copy, 0.05, at_least=False)]
    show([result], asked.json)


def _store(folder: Path, megabytes: int) -> None:
    from safetensors.torch import save_file

    images = {"images": torch.randint(0, 256, (megabytes, 2**20), dtype=torch.uint8)}
    Store(folder).publish("data", KEY, lambda draft: save_file(images, draft / "tensors.safetensors"), {})


def _mapped(folder: Path) -> torch.Tensor:
    entry = Store(folder).find("data", KEY)
    assert entry is not None
    return tensors(entry)["images"]


def _copied(folder: Path) -> torch.Tensor:
    return _mapped(folder).clone()


def _nothing(folder: Path) -> torch.Tensor:
    return _mapped(folder)[:0]


def _added(workers: int, folder: Path, load: Callable[[Path], torch.Tensor]) -> list[float]:
    context = multiprocessing.get_context("spawn")
    running: list[tuple[Any, Connection]] = []
    totals = [0.0]
    for _ in range(workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_worker, args=(theirs, folder, load))
        process.start()
        running.append((process, ours))
        ours.recv()
        totals.append(sum(_asked(pipe) for _, pipe in running))
    for process, pipe in running:
        pipe.send("end")
        process.join()
    return [after - before for before, after in pairwise(totals)]


def _asked(pipe: Connection) -> float:
    pipe.send("pss")
    return float(pipe.recv())


def _worker(pipe: Connection, folder: Path, load: Callable[[Path], torch.Tensor]) -> None:
    images = load(folder)
    int(images.sum(dtype=torch.int64))  # Every page is read.
    pipe.send("ready")
    while pipe.recv() == "pss":
        pipe.send(_pss())


def _pss() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
