"""Is it faster to train replicas as one network? Measured once on each type of machine, and kept beside what is made.

For tiny networks it is, since most of a step is starting operations; for larger ones it is not, since grouped
convolutions compute slower (docs/results/seeds.md). Where the step of one takes long, nothing is measured.
"""

import platform
import statistics
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.artifacts import Entry, stage_key
from pdsearch.data import Dataset
from pdsearch.events import Progress
from pdsearch.models.stacked import Stack, agrees
from pdsearch.specs import Json, StudentSpec, TrialSpec, keyed
from pdsearch.stages.keys import STAGE_VERSIONS
from pdsearch.stages.networks import blank
from pdsearch.stages.obtain import Made, obtain
from pdsearch.stages.site import Site
from pdsearch.training import Engine, make_optimizer, reproducible

__all__ = ["PAYS", "pace", "pace_key", "possible", "told_ratio"]

PAYS = 1.15
"""Times as fast as one by one, at least, to be worth other last bits."""
SLOW_S = 0.05
"""A step of one network that takes longer computes more than it starts; ResNet-8 with 128 images: 0.08 s."""
TURNS, STEPS = 7, 3


@dataclass(frozen=True)
class _Case:
    """What is timed.

    Args:
        networks: Replicas, untrained.
        spec: Names batch size, optimizer and precision.
        data: The images; their shape counts.
        engine: Where they are trained.
    """

    networks: list[nn.Module]
    spec: TrialSpec
    data: Dataset
    engine: Engine

    def ratio(self) -> float:
        """Return how many times as fast all are trained as one network; 0 where they cannot be, or steps are slow."""
        data = self.data
        if not agrees(self.networks, (data.channels, data.image_size, data.image_size)):
            return 0.0
        alone = [self._step(network, count=1) for network in self.networks]
        _seconds(alone[:1], self.engine)  # What the first step of a process prepares is not its own.
        if _seconds(alone[:1], self.engine) / STEPS > SLOW_S:
            return 0.0
        together = [self._step(Stack(self.networks), count=len(self.networks))]
        taken = [(_seconds(alone, self.engine), _seconds(together, self.engine)) for _ in range(TURNS + 1)]
        # The first turn warms up.
        one_by_one, as_one = ([turn[way] for turn in taken[1:]] for way in (0, 1))
        return statistics.median(one_by_one) / statistics.median(as_one)

    def _step(self, model: nn.Module, *, count: int) -> Callable[[], None]:
        engine, recipe, size = self.engine, self.spec.distill.recipe, self.data.image_size
        engine.place(model).train()
        optimizer = make_optimizer(model, recipe)
        batch = min(recipe.batch_size, len(self.data.train))
        shape = (batch, count * self.data.channels, size, size)
        images = engine.images(torch.randn(shape))
        targets = torch.zeros(batch * count, dtype=torch.int64, device=engine.device)

        def step() -> None:
            for weight in model.parameters():  # Optimizer.zero_grad would load torch's compiler.
                weight.grad = None
            with engine.autocast():
                logits: Tensor = model(images)
                loss = functional.cross_entropy(logits.float().reshape(len(targets), -1), targets)
            torch.autograd.backward(loss)
            optimizer.step()

        return step


def pace(
    spec: TrialSpec, shape: StudentSpec, data: Dataset, site: Site, *, replicas: int
) -> Generator[Progress, None, float]:
    """Return how many times as fast replicas of a trial's student are trained as one network; 0: they cannot be.

    Args:
        spec: The trial; its student's recipe and the precision count.
        shape: The student as it is built.
        data: The images.
        site: Where it is measured: on the type of machine that trains.
        replicas: How many.
    """

    def make() -> Generator[Progress, None, Made]:
        yield Progress("pace", note=f"{replicas} seeds as one network, against one by one")
        engine = site.engine(spec.precision)
        with reproducible(0, device=site.device):
            networks = [blank(shape.model, shape.options, data, seed) for seed in range(replicas)]
            ratio = _Case(networks, spec, data, engine).ratio()
        return Made({}, {"ratio": round(ratio, 3)})

    entry = yield from obtain(site, "pace", pace_key(spec, shape, data, site, replicas=replicas), make)
    return told_ratio(entry)


def told_ratio(entry: Entry) -> float:
    """Return what a measurement that lies in the store found."""
    ratio = entry.meta["ratio"]
    assert isinstance(ratio, int | float)
    return float(ratio)


def possible(shape: StudentSpec, data: Dataset) -> bool:
    """Return whether students of a shape can be trained as one network at all."""
    networks = [blank(shape.model, shape.options, data, seed) for seed in range(2)]
    return agrees(networks, (data.channels, data.image_size, data.image_size))


def pace_key(spec: TrialSpec, shape: StudentSpec, data: Dataset, site: Site, *, replicas: int) -> str:
    """Return the key of a measurement; arguments as for `pace`."""
    fields: dict[str, Json] = {
        "student": keyed(shape),
        "images": [data.channels, data.image_size, data.num_classes],
        "batch_size": spec.distill.recipe.batch_size,
        "optimizer": spec.distill.recipe.optimizer,
        "precision": spec.precision,
        "replicas": replicas,
        "machine": _machine(site.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    return stage_key("pace", STAGE_VERSIONS["pace"], fields=fields, upstream={})


def _seconds(steps: list[Callable[[], None]], engine: Engine) -> float:
    began = time.perf_counter()
    for step in steps:
        for _ in range(STEPS):
            step()
    if engine.kind == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter() - began


def _machine(device: str) -> str:
    """Return the type of processor."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
