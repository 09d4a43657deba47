"""Training steps of several networks in float32 and in bf16, in turns, on one thread: whether bf16 pays on this CPU."""

import time
from collections.abc import Callable

import torch
from torch.nn import functional

from benchmarks.harness import Result, arguments, in_turns, show
from pdsearch.models import build, count_params
from pdsearch.specs import Recipe
from pdsearch.training.device import Engine, keep_freed_memory
from pdsearch.training.optim import make_optimizer

SIZES = {"convnet_s": 8, "convnet_m": 8}
"""Pixels of the digits; all others see 32."""

NETWORKS = (
    "convnet_s",
    "convnet_m",
    "resnet8",
    "resnet20",
    "vgg8_bn",
    "wrn_16_2",
    "mobilenetv2",
    "shufflenetv2",
)
FP32, BF16 = "fp32", "bf16"
BATCH = 128


def measure(name: str, *, turns: int) -> Result:
    """Time single steps of a network in both precisions, in turns.

    Args:
        name: Of the network.
        turns: Measurements of each.
    """
    size = SIZES.get(name, 32)
    channels = 1 if name in SIZES else 3
    made = build(name, num_classes=10, input_shape=(channels, size, size), seed=0)
    steps = {kind: _step(name, channels, size, kind) for kind in (FP32, BF16)}
    settings = {"weights": count_params(made), "image": f"{channels}x{size}x{size}", "batch": BATCH}
    figures = in_turns(steps, turns=turns, warm_up=2)
    return Result(f"precision: {name}", "training images/s", figures, FP32, settings=settings)


def _step(name: str, channels: int, size: int, kind: str) -> Callable[[], float]:
    engine = Engine(precision=kind)
    model = engine.place(build(name, num_classes=10, input_shape=(channels, size, size), seed=0))
    optimizer = make_optimizer(model, Recipe(epochs=1, lr=0.01))
    random = torch.Generator().manual_seed(0)
    images = engine.images(torch.randn(BATCH, channels, size, size, generator=random))
    labels = torch.randint(0, 10, (BATCH,), generator=random)
    repeats = 50 if name in SIZES else 1

    def run() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            with engine.autocast():
                logits = model(images).float()
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(functional.cross_entropy(logits, labels))
            optimizer.step()
        return BATCH * repeats / (time.perf_counter() - start)

    return run


def main() -> None:
    """Measure every network."""
    parser = arguments(__doc__, turns=9)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    show([measure(name, turns=asked.turns) for name in asked.networks], asked.json)


if __name__ == "__main__":
    main()
