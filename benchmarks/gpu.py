"""Throughput of the paper's distillation on a GPU, and its study's cost: CIFAR-100, VGG-19 into VGG-11.

Images are noise in CIFAR's shape and number; validation is in every epoch, warm-up is left out. `--tiny` runs the same
code on any machine, with figures that mean nothing.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.distillation_setup import Scene, cifar_shaped
from benchmarks.harness import Result, arguments, in_turns, show
from pdsearch.training.checkpoint import EpochReport
from pdsearch.training.device import resolve_precision

CHAIN_EPOCHS, STUDENTS, STUDENT_EPOCHS = 1110, 60, 200
"""The paper's study: one magnitude chain (200 + 7 x 130 epochs) and 60 students of 200 epochs."""


def measure(folder: Path, *, tiny: bool, turns: int, workers: int, batches: list[int]) -> list[Result]:
    """Time epochs of every way in turns."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = 256 if tiny else 45_000
    scenes = {size: _scene(folder / str(size), device, images, size, tiny=tiny) for size in batches}
    first = scenes[batches[0]]
    paper = first.paper_style(workers=workers)
    ways: dict[str, Callable[[], object]] = {"paper's style": paper.epoch}
    losses: dict[bool, list[float]] = {True: [], False: []}
    for size, scene in scenes.items():
        scene.store_logits(turns + 2)
        ways[f"ours, logits stored, batch {size}"] = scene.ours().__next__
    for graphs, name in ((True, "captured"), (False, "one by one")):
        epochs = first.ours(key=2 + graphs, graphs=graphs)
        ways[f"ours, batch {batches[0]}, steps {name}"] = partial(_noted, epochs, losses[graphs])
    ways[f"ours, teacher live, batch {batches[0]}"] = first.ours(limit=0).__next__
    ways["by hand"] = first.by_hand(precision=first.spec.precision).epoch
    ways["the teacher's own training"] = first.teacher_alone().__next__
    rates = in_turns({name: _rate(run, images, device) for name, run in ways.items()}, turns=turns)
    settings = {"images": images, "precision": first.spec.precision, "batch": batches[0], "tiny": tiny}
    result = Result(
        "gpu: CIFAR-100, VGG-19 to VGG-11", "training images/s", rates, "paper's style", True, settings
    )
    result.notes = {"epochs whose losses differ if steps are captured": _different(losses)}
    if not tiny:
        result.notes |= _study(result, batches[0])
    return [result]


def _noted(epochs: Iterator[EpochReport], losses: list[float]) -> None:
    losses.append(next(epochs).loss)


def _different(losses: dict[bool, list[float]]) -> int:
    return sum(one != other for one, other in zip(losses[True], losses[False], strict=True))


def _scene(folder: Path, device: str, images: int, batch_size: int, *, tiny: bool) -> Scene:
    names = ("resnet8", "resnet8") if tiny else ("vgg19_bn", "vgg11_bn")
    return cifar_shaped(
        folder,
        resolve_precision("auto", device),
        images=images,
        teacher=names[0],
        student=names[1],
        classes=100,
        device=device,
        batch_size=batch_size,
    )


def _rate(epoch: Callable[[], object], images: int, device: str) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        epoch()
        if device == "cuda":
            torch.cuda.synchronize()
        return images / (time.perf_counter() - start)

    return run


def _study(result: Result, batch: int) -> dict[str, float]:
    """Return the GPU hours of the paper's study at the measured rates."""
    medians = {row["what"]: row["median"] for row in result.rows()}
    teacher = 45_000 / medians["the teacher's own training"] * CHAIN_EPOCHS
    students = 45_000 / medians[f"ours, logits stored, batch {batch}"] * STUDENTS * STUDENT_EPOCHS
    usual = 45_000 / medians["paper's style"] * STUDENTS * STUDENT_EPOCHS
    return {
        "GPU hours of the paper's study": round((teacher + students) / 3600, 2),
        "of which its students": round(students / 3600, 2),
        "its students in the paper's style": round(usual / 3600, 2),
    }


def main() -> None:
    """Measure on the GPU if there is one."""
    parser = arguments(__doc__, turns=5)
    parser.add_argument(
        "--tiny", action="store_true", help="a check that it runs, for machines without a GPU"
    )
    parser.add_argument("--workers", type=int, default=4, help="of the usual loop's DataLoader")
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 512, 1024])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(
            Path(folder),
            tiny=asked.tiny,
            turns=asked.turns,
            workers=0 if asked.tiny else asked.workers,
            batches=asked.batches,
        )
    show(results, asked.json)


if __name__ == "__main__":
    main()
