"""Does it pay to train several seeds of a configuration as one network? Grouped, under vmap, and one by one.

The stacked ways are bare loops (no checkpoints, no reports), so they bound what an engine built of them could reach;
the same bare loop with the replicas one by one says how much of a gain is the loop's and not the stacking's.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import Result, Target, arguments, in_turns, show
from benchmarks.scene import Scene, cifar_shaped, digits
from benchmarks.stacked import Forward, grouped, of_replica, vmapped
from pdsearch.data import Views
from pdsearch.distillation.losses.kd import KdParams, kd_loss
from pdsearch.distillation.outputs import Outputs
from pdsearch.stages.data import views
from pdsearch.stages.networks import blank
from pdsearch.training import Engine
from pdsearch.training.optim import make_optimizer

__all__ = ["main", "measure"]

ENGINE, BARE, GROUPED, VMAP = "one by one, the engine", "one by one, bare", "grouped, bare", "vmap, bare"
PAYS = 1.15
"""Below this ratio to the engine nothing is worth building in."""


class Loop:
    """The replicas of one configuration in one bare loop: every one has its own weights, order, views and logits.

    Args:
        scene: What is distilled.
        seeds: Of the replicas.
        stack: Makes one network of them; None trains them one by one.
    """

    def __init__(
        self, scene: Scene, seeds: Sequence[int], stack: Callable[..., tuple[Forward, nn.Module]] | None
    ) -> None:
        self._scene, self._recipe = scene, scene.spec.distill.recipe
        site = scene.site(0)
        self._engine: Engine = site.engine(scene.spec.precision)
        self.networks = [
            self._engine.place(blank(scene.spec.student.model, (), scene.data, seed)) for seed in seeds
        ]
        augment = scene.spec.data.augment
        self._seen: list[Views] = [
            views(scene.data, augment=augment, stream=seed, site=site) for seed in seeds
        ]
        self._val = views(replace(scene.data, train=scene.data.val), augment="none", stream=0, site=site)
        random = torch.Generator().manual_seed(0)
        shape = (len(scene.data.train), scene.data.num_classes)
        self._logits = [torch.randn(shape, generator=random) for _ in seeds]
        self._orders = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._epoch = 0
        self._params = KdParams(temperature=4.0, alpha=0.9)
        self.modules: list[nn.Module] = list(self.networks)
        self._forwards: list[Forward] = [partial(_alone, own) for own in self.networks]
        self._groups = [[number] for number in range(len(seeds))]
        if stack is not None:
            forward, module = stack(self.networks)
            self._forwards, self.modules, self._groups = [forward], [module], [list(range(len(seeds)))]
        self._optimizers = [make_optimizer(module, self._recipe) for module in self.modules]

    def epoch(self, steps: int | None = None) -> None:
        """Train all replicas for an epoch, or for some of its steps, and measure them."""
        for part in zip(self._groups, self._forwards, self.modules, self._optimizers, strict=True):
            self._train(*part, steps)
            if steps is None:
                self._measure(*part[:3])
        self._epoch += 1

    def _train(
        self,
        group: list[int],
        forward: Forward,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
        steps: int | None,
    ) -> None:
        module.train()
        count, size = len(self._scene.data.train), self._recipe.batch_size
        orders = [torch.randperm(count, generator=self._orders[number]).split(size) for number in group]
        for indices in list(zip(*orders, strict=True))[:steps]:
            optimizer.zero_grad(set_to_none=True)
            images = [
                self._seen[number].batch(self._epoch, index)
                for number, index in zip(group, indices, strict=True)
            ]
            with self._engine.autocast():
                said = forward(images)
                parts = [self._loss(*pair) for pair in zip(group, indices, said, strict=True)]
                loss = parts[0] if len(parts) == 1 else torch.stack(parts).sum()
            torch.autograd.backward(loss)
            optimizer.step()

    def _loss(self, number: int, index: Tensor, logits: Tensor) -> Tensor:
        targets = self._seen[number].targets(self._epoch, index)
        # Images' type: float32 in use, float64 where equality is asked for.
        ours = logits if logits.dtype == torch.float64 else logits.float()
        return kd_loss(
            Outputs(ours), Outputs(self._logits[number][index].to(ours.dtype)), targets, self._params
        )

    def _measure(self, group: list[int], forward: Forward, module: nn.Module) -> None:
        module.eval()
        with torch.no_grad(), self._engine.autocast():
            for index in torch.arange(len(self._val)).split(1000):
                images = self._val.batch(0, index)
                answers = [logits.argmax(dim=1) for logits in forward([images] * len(group))]
                torch.stack(answers).eq(self._val.labels[index]).sum(dim=1).tolist()
        module.train()


def _alone(network: nn.Module, images: Sequence[Tensor]) -> list[Tensor]:
    return [network(images[0])]


def measure(name: str, scene: Scene, *, replicas: int, turns: int, repeats: int) -> Result:
    """Time epochs of all replicas in turns, validation included.

    Args:
        name: Of the case.
        scene: What is distilled.
        replicas: How many.
        turns: Measurements of each way.
        repeats: Epochs in one of them.
    """
    scene.store_logits((turns + 2) * repeats)
    seeds = range(1, replicas + 1)
    # Checkpoints of their own: a training under a key that was used before would replay its stored reports.
    running = [scene.ours(key=1000 * replicas + number) for number in seeds]

    def engine() -> None:
        for each in running:
            next(each)

    ways: dict[str, Callable[[], object]] = {ENGINE: engine, BARE: Loop(scene, seeds, None).epoch}
    ways |= {GROUPED: Loop(scene, seeds, grouped).epoch, VMAP: Loop(scene, seeds, vmapped).epoch}
    images = len(scene.data.train) * replicas
    rates = in_turns({way: _rate(run, images, repeats) for way, run in ways.items()}, turns=turns)
    batch = scene.spec.distill.recipe.batch_size
    settings = {
        "replicas": replicas,
        "batch": batch,
        "precision": scene.spec.precision,
        "images": images // replicas,
    }
    result = Result(f"seeds: {name}", "training images/s", rates, ENGINE, settings=settings)
    result.notes = {
        "grouped, of the bare loop": round(result.ratio(GROUPED, BARE), 2),
        **_difference(scene, seeds),
    }
    result.targets = [Target("the better stacked way, of the engine", _best(result), PAYS)]
    return result


def _best(result: Result) -> float:
    return max(result.ratio(way, ENGINE) for way in (GROUPED, VMAP))


def _difference(scene: Scene, seeds: Sequence[int], steps: int = 3) -> dict[str, str]:
    """Return how far grouped weights are from those trained one by one after some steps."""
    apart, stacked = Loop(scene, seeds, None), Loop(scene, seeds, grouped)
    for loop in (apart, stacked):
        loop.epoch(steps)
    gaps = []
    for number, own in enumerate(apart.modules):
        weights = torch.cat([weight.detach().flatten() for weight in own.parameters()])
        gaps.append(float((weights - of_replica(stacked.modules[0], number)).abs().max()))  # type: ignore[arg-type]
    return {f"grouped, greatest difference of a weight after {steps} steps": f"{max(gaps):.1e}"}


def _rate(epoch: Callable[[], object], images: int, repeats: int) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            epoch()
        return images * repeats / (time.perf_counter() - start)

    return run


def _scene(folder: Path, student: str, precision: str, batch: int, images: int) -> Scene:
    if student == "resnet8":
        return cifar_shaped(
            folder, precision, images=images, teacher="vgg11_bn", student=student, batch_size=batch
        )
    scene = digits(folder, precision, student=student, augment="none" if student == "convnet_s" else "crop")
    recipe = replace(scene.spec.distill.recipe, batch_size=batch)
    return replace(scene, spec=replace(scene.spec, distill=replace(scene.spec.distill, recipe=recipe)))


def main() -> None:
    """Measure every case."""
    parser = arguments(__doc__, turns=5)
    parser.add_argument("--images", type=int, default=384, help="training images of the CIFAR-shaped set")
    parser.add_argument("--students", nargs="+", default=["convnet_s", "convnet_m", "resnet8"])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--replicas", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for student in asked.students:
            for precision in asked.precisions:
                for batch in asked.batches:
                    place = Path(folder) / f"{student}-{precision}-{batch}"
                    scene = _scene(place, student, precision, batch, asked.images)
                    for replicas in asked.replicas:
                        results.append(
                            measure(
                                f"{student}, batch {batch}, {precision}",
                                scene,
                                replicas=replicas,
                                turns=asked.turns,
                                repeats=1 if student == "resnet8" else 2,
                            )
                        )
    show(results, asked.json)


if __name__ == "__main__":
    main()
