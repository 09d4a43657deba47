"""Students of one configuration that differ in their seeds alone, trained as one network: an artifact of all of them.

Each has its own initial weights, order of images, views and teacher's outputs, as when it is trained alone. Only the
last bits of its gradients are others (docs/results/seeds.md), so that its key names those trained beside it.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from pdsearch.data import Dataset
from pdsearch.errors import TrialError
from pdsearch.events import Progress
from pdsearch.specs import Json, TrialSpec, derive_seed
from pdsearch.stages.abreast import Abreast, Replicas, objective_of, scored
from pdsearch.stages.data import views
from pdsearch.stages.keys import replicas_key
from pdsearch.stages.lesson import lesson
from pdsearch.stages.networks import Network, blank, plain_views
from pdsearch.stages.obtain import Made, obtain, tensors
from pdsearch.stages.site import Site
from pdsearch.stages.student import Student
from pdsearch.training import Checkpoint, EpochReport, fit

__all__ = ["trained_with"]

Row = list[Any]
"""Epoch, epochs, validation accuracy, loss: of one replica."""


@dataclass(frozen=True)
class _Together:
    """All replicas of a trial."""

    spec: TrialSpec
    data: Dataset
    teacher: Network | None
    student: Student
    site: Site

    def train(self) -> Generator[Progress, None, Made]:
        """Train them; yield every epoch, with their mean accuracy."""
        seeds, model = self.spec.distill.replicas, self._untrained()
        reports: list[list[Row]] = [[] for _ in seeds]
        note = f"{len(seeds)} seeds as one network"
        with closing(self._epochs(model)) as epochs:
            for told in epochs:
                for rows, row in zip(reports, self._rows(model, told.epoch), strict=True):
                    rows.append(row)
                yield Progress("distill", note, told.epoch, told.epochs, told.val_accuracy)
        named = zip(seeds, model.stack.apart(), strict=True)
        weights = {f"{seed}/{name}": tensor for seed, found in named for name, tensor in found.items()}
        by_seed: dict[str, Json] = {str(s): [*rows] for s, rows in zip(seeds, reports, strict=True)}
        return Made(weights, {"replicas": len(seeds), "reports": by_seed})

    def _untrained(self) -> Replicas:
        shape, distill = self.student.shape, self.spec.distill
        students = [blank(shape.model, shape.options, self.data, seed) for seed in distill.replicas]
        return Replicas(students, distill.recipe.epochs)

    def _epochs(self, model: Replicas) -> Generator[EpochReport, None, None]:
        """Train all in place; yield each epoch."""
        spec, site, data = self.spec, self.site, self.data
        seeds, recipe = spec.distill.replicas, spec.distill.recipe
        alone = [replace(spec, distill=replace(spec.distill, seed=seed, view_seed=seed)) for seed in seeds]
        seen = [views(data, augment=spec.data.augment, stream=seed, site=site) for seed in seeds]
        seed, engine = derive_seed("replicas", *seeds), site.engine(spec.precision)
        abreast = Abreast(seen, [derive_seed(seed, "student") for seed in seeds], seed=seed)
        lessons = [
            lesson(one, data, self.teacher, shown, site) for one, shown in zip(alone, seen, strict=True)
        ]
        training = fit(
            model,
            views=abreast,
            objective=objective_of(lessons, abreast),
            recipe=recipe,
            seed=seed,
            evaluate=scored(data, plain_views(data, data.val, site), engine),
            engine=engine,
            checkpoint=Checkpoint(site.progress / replicas_key(spec), interval_s=site.checkpoint_s),
        )
        with closing(training):
            for report in training:
                for _ in seeds:
                    site.trained("distill")
                yield report

    def _rows(self, model: Replicas, epoch: int) -> list[Row]:
        images, val, epochs = len(self.data.train), len(self.data.val), self.spec.distill.recipe.epochs
        losses, right = model.losses[epoch - 1].tolist(), model.right[epoch - 1].tolist()
        return [
            [epoch, epochs, correct / val if val else None, loss / images]
            for loss, correct in zip(losses, right, strict=True)
        ]


def trained_with(
    spec: TrialSpec, data: Dataset, teacher: Network | None, student: Student, site: Site
) -> Generator[Progress, None, tuple[dict[str, Tensor], list[Row]] | None]:
    """Train the student with its replicas, or find it so trained.

    Args:
        spec: The trial; `distill.replicas` holds the seeds of all, its own among them.
        data: The images.
        teacher: Who teaches.
        student: The untrained student; it is left as it is.
        site: Where it is trained.

    Returns:
        The student's weights and buffers, and what is to be reported of each epoch: its number, their count, validation
        accuracy, loss. None where the training diverged: a single one of the replicas may have done that.

    Raises:
        ValueError: The trial's seed is not among its replicas.
    """

    def make() -> Generator[Progress, None, Made]:
        try:
            return (yield from _Together(spec, data, teacher, student, site).train())
        except TrialError as error:
            return Made({}, {"replicas": len(spec.distill.replicas), "diverged": str(error)})

    if spec.distill.seed not in spec.distill.replicas:
        raise ValueError(f"seed {spec.distill.seed} is not in {spec.distill.replicas}")
    entry = yield from obtain(site, "replicas", replicas_key(spec), make)
    if "diverged" in entry.meta:
        return None
    prefix, named, reports = f"{spec.distill.seed}/", tensors(entry), entry.meta["reports"]
    assert isinstance(reports, dict)
    rows: Any = reports[str(spec.distill.seed)]
    own = {name.removeprefix(prefix): tensor for name, tensor in named.items() if name.startswith(prefix)}
    return own, rows
