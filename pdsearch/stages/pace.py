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
        spec: Names batch size, optimizer and precision.
        shape: The student as it is built.
        data: The images; their shape counts.
        engine: Where they are trained.
    """

    spec: TrialSpec
    shape: StudentSpec
    data: Dataset
    engine: Engine

    def ratio(self, replicas: int) -> float:
        """Return how many times as fast they train as one network; 0 where they cannot, or where steps are slow."""
        if self._slow() or not possible(self.shape, self.data):
            return 0.0
        networks = [self._network(seed) for seed in range(replicas)]
        alone = [self._step(network) for network in networks]
        together = [self._step(Stack(networks), count=replicas)]
        taken = [(self._seconds(alone), self._seconds(together)) for _ in range(TURNS + 1)]
        # The first turn warms up.
        one_by_one, as_one = ([turn[way] for turn in taken[1:]] for way in (0, 1))
        return statistics.median(one_by_one) / statistics.median(as_one)

    def _slow(self) -> bool:
        """Whether a step of one network takes long; two images tell of the largest, which a batch would keep busy."""
        for images in (2, self._batch):
            step = self._step(self._network(0), images=images)
            step()  # What the first step prepares is not its own.
            if self._seconds([step], steps=1) > SLOW_S:
                return True
        return False

    @property
    def _batch(self) -> int:
        return min(self.spec.distill.recipe.batch_size, len(self.data.train))

    def _network(self, seed: int) -> nn.Module:
        return blank(self.shape.model, self.shape.options, self.data, seed)

    def _step(self, model: nn.Module, *, count: int = 1, images: int | None = None) -> Callable[[], None]:
        engine, size, batch = self.engine, self.data.image_size, images or self._batch
        engine.place(model).train()
        optimizer = make_optimizer(model, self.spec.distill.recipe)
        seen = engine.images(torch.randn(batch, count * self.data.channels, size, size))
        targets = torch.zeros(batch * count, dtype=torch.int64, device=engine.device)

        def passes() -> None:
            for weight in model.parameters():  # Optimizer.zero_grad would load torch's compiler.
                weight.grad = None
            with engine.autocast():
                logits: Tensor = model(seen)
                loss = functional.cross_entropy(logits.float().reshape(len(targets), -1), targets)
            torch.autograd.backward(loss)

        def step() -> None:
            run()
            optimizer.step()

        run = self._as_trained(passes)
        return step

    def _as_trained(self, passes: Callable[[], None]) -> Callable[[], None]:
        """Return what runs passes as a training would: captured, where its steps are."""
        graph = self.engine.graph()
        if graph is None:
            return passes
        try:
            passes()  # What the first prepares may wait for the device.
            with graph.ready():
                passes()
            graph.capture(passes)
        except RuntimeError:
            graph.clear()
            return passes
        return graph.replay

    def _seconds(self, each: list[Callable[[], None]], steps: int = STEPS) -> float:
        began = time.perf_counter()
        for step in each:
            for _ in range(steps):
                step()
        if self.engine.kind == "cuda":
            torch.cuda.synchronize(self.engine.device)
        return time.perf_counter() - began


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
        with reproducible(0, device=site.device):
            ratio = _Case(spec, shape, data, site.engine(spec.precision)).ratio(replicas)
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
    if torch.device(site.device).type == "cuda":
        fields["captured"] = site.graphs
    return stage_key("pace", STAGE_VERSIONS["pace"], fields=fields, upstream={})


def _machine(device: str) -> str:
    """Return the type of processor."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
