"""Training throughput of a student: the usual loop, ours with the teacher live and stored, the shortest loop."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.distillation_setup import Scene, cifar_shaped, digits
from benchmarks.harness import Result, Target, arguments, in_turns, show
from benchmarks.own_process import apart
from pdsearch.models import build, count_params, has_depthwise
from pdsearch.training.device import computes_bf16, keep_freed_memory, why_fp32

PAPER, LIVE, STORED, BY_HAND = "paper's style", "ours, teacher live", "ours, logits stored", "by hand"


def measure(name: str, scene: Scene, *, turns: int, repeats: int, least: float | None) -> Result:
    """Time epochs in turns, validation included; the usual loop runs one epoch a turn, the others `repeats`.

    The usual loop has a process of its own: what our engine sets for a whole process must not help it.

    Args:
        name: Of the ladder.
        scene: What is distilled.
        turns: Measurements of each way.
        repeats: Epochs in one of them.
        least: How many times as fast as the usual loop ours must be; None sets no target.
    """
    # Stored for all epochs that will be asked for, warm-up included: a second trial finds them.
    scene.store_logits((turns + 2) * repeats)
    with apart(scene.paper_style) as paper:
        return _measured(name, scene, paper, turns=turns, repeats=repeats, least=least)


def _measured(
    name: str, scene: Scene, paper: Callable[[], object], *, turns: int, repeats: int, least: float | None
) -> Result:
    live, stored = scene.ours(limit=0), scene.ours()
    hands = {f"{BY_HAND}, {kind}": scene.by_hand(precision=kind).epoch for kind in ("fp32", "bf16")}
    ways: dict[str, Callable[[], object]] = {
        PAPER: paper,
        LIVE: lambda: next(live),
        STORED: lambda: next(stored),
        **hands,
    }
    count = len(scene.data.train)
    rates = in_turns(
        {way: _rate(run, count, 1 if way == PAPER else repeats) for way, run in ways.items()}, turns=turns
    )
    result = Result(
        f"engine: {name}",
        "training images/s",
        rates,
        PAPER,
        settings={
            "images": count,
            "batch": 128,
            "threads": torch.get_num_threads(),
            "precision": scene.spec.precision,
            "epochs a turn": repeats,
        },
    )
    best = max(hands, key=lambda way: result.ratio(way, STORED))
    result.notes = {"the best by hand": best}
    result.targets = [
        *([Target("ours, of the usual loop", result.ratio(STORED, PAPER), least)] if least else []),
        Target("ours, of the best by hand", result.ratio(STORED, best), 0.95),
    ]
    return result


def _rate(epoch: Callable[[], object], images: int, repeats: int) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            epoch()
        return images * repeats / (time.perf_counter() - start)

    return run


def _precision(asked: str, student: str, *, channels: int, size: int) -> str:
    made = build(student, num_classes=10, input_shape=(channels, size, size), seed=0)
    if asked != "auto":
        return asked
    why = why_fp32(count_params(made), depthwise=has_depthwise(made), bf16=computes_bf16("cpu"))
    return "fp32" if why else "bf16"


def main() -> None:
    """Measure both ladders."""
    parser = arguments(__doc__, turns=5)
    parser.add_argument("--images", type=int, default=1280, help="training images of the CIFAR-shaped set")
    parser.add_argument("--precision", default="auto", help="auto: what a study of the scene would take")
    parser.add_argument("--only", choices=["digits", "resnet8"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # As a worker does; the loop by hand gains by it too.
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if asked.only != "resnet8":
            for student, augment in (("convnet_s", "none"), ("convnet_m", "crop")):
                kind = _precision(asked.precision, student, channels=1, size=8)
                scene = digits(Path(folder) / student, kind, student=student, augment=augment)
                name = f"digits, {student}, augment {augment}"
                least = 7 if augment == "none" else None
                results.append(measure(name, scene, turns=asked.turns, repeats=10, least=least))
        if asked.only != "digits":
            scene = cifar_shaped(
                Path(folder) / "cifar",
                _precision(asked.precision, "resnet8", channels=3, size=32),
                images=asked.images,
                teacher="vgg11_bn",
                student="resnet8",
            )
            results.append(measure("resnet8 from vgg11_bn", scene, turns=asked.turns, repeats=2, least=8))
    show(results, asked.json)


if __name__ == "__main__":
    main()
