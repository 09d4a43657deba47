"""The student's training: every epoch is one report; the trained student is an artifact like every other stage's."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pdsearch.artifacts import Entry
from pdsearch.data import Dataset, Views
from pdsearch.distillation.outputs import Outputs
from pdsearch.distillation.registry import losses
from pdsearch.events import Progress, Report
from pdsearch.specs import Json, TrialSpec, derive_seed
from pdsearch.stages.data import views
from pdsearch.stages.fitting import Fitting
from pdsearch.stages.keys import student_key
from pdsearch.stages.networks import Network, load, packed
from pdsearch.stages.obtain import Made, obtain, tensors
from pdsearch.stages.outputs import TeacherLogits
from pdsearch.stages.site import Site
from pdsearch.stages.student import Student
from pdsearch.training import EpochReport, Objective, evaluating

__all__ = ["Taught", "distill"]

Answers = Callable[[Tensor, Tensor, int], Outputs]
"""answers(images, index, epoch) -> what the teacher says of a batch."""


@dataclass(frozen=True)
class Taught:
    """A trained student's artifact, and the validation accuracy of the epoch whose weights it holds."""

    key: str
    val_accuracy: float


def distill(
    spec: TrialSpec, data: Dataset, teacher: Network | None, student: Student, site: Site
) -> Generator[Progress | Report, None, Taught]:
    """Train the student, or find it trained; either way yield every epoch's report.

    The student's module holds the trained weights at the end.
    """
    key = student_key(spec)
    reported: list[Report] = []

    def make() -> Generator[Progress | Report, None, Made]:
        for report in _epochs(spec, data, teacher, student, site, key):
            reported.append(Report(report.epoch, report.epochs, report.val_accuracy, report.loss))
            yield reported[-1]
        meta: dict[str, Json] = {
            "reports": [[r.epoch, r.epochs, r.val_accuracy, r.loss] for r in reported],
            **student.facts(),
        }
        return Made(packed(student.model), meta)

    entry = yield from obtain(site, "student", key, make)
    if not reported:
        load(student.model, tensors(entry))
        for row in _rows(entry):
            reported.append(Report(*row))
            yield reported[-1]
    accuracies = [report.val_accuracy for report in reported]
    best = spec.distill.recipe.select == "best_val"
    return Taught(key, max(accuracies) if best else accuracies[-1])


def _epochs(
    spec: TrialSpec, data: Dataset, teacher: Network | None, student: Student, site: Site, key: str
) -> Generator[EpochReport, None, None]:
    seen = views(data, augment=spec.data.augment, stream=spec.distill.view_seed, site=site)
    fitting = Fitting(spec, data, site, stage="distill", key=key)
    yield from fitting.run(
        student.model,
        seen=seen,
        objective=_objective(spec, seen, _answers(spec, data, teacher, seen, site), data.num_classes),
        recipe=spec.distill.recipe,
        seed=derive_seed(spec.distill.seed, "student"),
    )


def _objective(spec: TrialSpec, seen: Views, answers: Answers | None, classes: int) -> Objective:
    entry = losses.get(spec.distill.loss)
    params: Any = entry.params(**dict(spec.distill.params))
    targets = _targets(seen.labels, classes, spec.distill.recipe.label_smoothing)

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        ours = _outputs(model, images, entry.features)
        theirs = ours if answers is None else answers(images, index, epoch)
        return entry.loss(ours, theirs, targets[index], params)

    return objective


def _answers(
    spec: TrialSpec, data: Dataset, teacher: Network | None, seen: Views, site: Site
) -> Answers | None:
    """Return how the teacher answers: from stored logits, or live where the loss wants features."""
    entry = losses.get(spec.distill.loss)
    if teacher is None or not entry.needs_teacher:
        return None
    if entry.features:
        return lambda images, _index, _epoch: _live(teacher.model, images, entry.features)
    stored = TeacherLogits(spec, teacher, seen, data.num_classes, site)
    return lambda _images, index, epoch: Outputs(stored.rows(epoch, index).float())


def _live(model: nn.Module, images: Tensor, features: tuple[str, ...]) -> Outputs:
    with evaluating(model):
        return _outputs(model, images, features)


def _outputs(model: nn.Module, images: Tensor, features: tuple[str, ...]) -> Outputs:
    """Run a network; in float32 what leaves it, since softmax and divergence lose too much in 16 bits."""
    if not features:
        return Outputs(model(images).float())
    maps: dict[str, Tensor] = model.features(images)  # type: ignore[operator]
    logits: Tensor = model.classifier(maps["pooled"])  # type: ignore[operator]
    return Outputs(logits.float(), {name: maps[name].float() for name in features})


def _targets(labels: Tensor, classes: int, smoothing: float) -> Tensor:
    """Return class indices, or probabilities where labels are smoothed."""
    if smoothing == 0:
        return labels
    hard = nn.functional.one_hot(labels, classes).float()
    return hard * (1 - smoothing) + torch.full_like(hard, smoothing / classes)


def _rows(entry: Entry) -> list[Any]:
    rows = entry.meta["reports"]
    assert isinstance(rows, list)
    return rows
