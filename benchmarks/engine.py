"""How fast is a student trained? The usual loop, ours with the teacher live and stored, the shortest loop by hand."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.harness import Result, arguments, in_turns, show
from benchmarks.scene import Scene, cifar_shaped, digits

__all__ = ["main", "measure"]

PAPER, LIVE, STORED, BY_HAND = "paper's style", "ours, teacher live", "ours, logits stored", "by hand"


def measure(name: str, scene: Scene, *, turns: int, repeats: int) -> Result:
    """Time epochs in turns, validation included; the usual loop runs one epoch a turn, the others `repeats`."""
    # Stored for all epochs that will be asked for, warm-up included: a second trial finds them.
    scene.store_logits((turns + 2) * repeats)
    live, stored = scene.ours(limit=0), scene.ours()
    paper = scene.paper_style()
    hands = {f"{BY_HAND}, {kind}": scene.by_hand(precision=kind).epoch for kind in ("fp32", "bf16")}
    ways: dict[str, Callable[[], object]] = {
        PAPER: paper.epoch,
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
            "epochs a turn": repeats,
        },
    )
    best = max(hands, key=lambda way: result.ratio(way, STORED))
    result.notes = {f"ours, of the best by hand ({best})": round(result.ratio(STORED, best), 3)}
    return result


def _rate(epoch: Callable[[], object], images: int, repeats: int) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            epoch()
        return images * repeats / (time.perf_counter() - start)

    return run


def main() -> None:
    """Measure both ladders."""
    parser = arguments(__doc__, turns=5)
    parser.add_argument("--images", type=int, default=1280, help="training images of the CIFAR-shaped set")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--only", choices=["digits", "resnet8"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if asked.only != "resnet8":
            for student, augment in (("convnet_s", "none"), ("convnet_m", "crop")):
                scene = digits(Path(folder) / student, asked.precision, student=student, augment=augment)
                name = f"digits, {student}, augment {augment}"
                results.append(measure(name, scene, turns=asked.turns, repeats=10))
        if asked.only != "digits":
            scene = cifar_shaped(
                Path(folder) / "cifar",
                asked.precision,
                images=asked.images,
                teacher="vgg11_bn",
                student="resnet8",
            )
            results.append(measure("resnet8 from vgg11_bn", scene, turns=asked.turns, repeats=2))
    show(results, asked.json)


if __name__ == "__main__":
    main()
