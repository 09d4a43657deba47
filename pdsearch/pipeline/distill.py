"""The distillation stage: trains the student, yields one report per epoch, and stores the student as an artifact."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator as Random
from torch import Tensor, nn

from pdsearch.artifacts import Entry
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.dataset.views import Views, one_hot
from pdsearch.distillation import Outputs, teach
from pdsearch.distillation.features import check_shows_features
from pdsearch.distillation.registry import DistillationLoss, losses
from pdsearch.pipeline.cache import Made, obtain, tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.keys import student_key
from pdsearch.pipeline.networks import Teacher, an_image, answering, load, outputs, packed, shapes
from pdsearch.pipeline.stage_training import Fitting, achieved
from pdsearch.pipeline.student import Student
from pdsearch.pipeline.teacher_logits import TeacherLogits
from pdsearch.protocol import Progress, Report
from pdsearch.registry import make_params
from pdsearch.specs import Json, TrialSpec, derive_seed, digest
from pdsearch.training.evaluate import evaluating
from pdsearch.training.fit import Objective

Answers = Callable[[Tensor, Tensor, int], Outputs]
"""answers(images, index, epoch) -> the teacher's outputs for a batch."""


class StudentWithAdapter(nn.Module):
    """The student and, if the loss has one, the adapter trained with it.

    Both are checkpointed together; only the student is evaluated, stored and exported.

    Args:
        student: The student.
        adapter: Module between the networks and the loss; None for most losses.
    """

    def __init__(self, student: nn.Module, adapter: nn.Module | None) -> None:
        super().__init__()
        self.student, self.adapter = student, adapter

    def forward(self, images: Tensor) -> Tensor:
        """Return the student's logits, (B, classes)."""
        logits: Tensor = self.student(images)
        return logits


def pupil(
    spec: TrialSpec, data: Dataset, teacher: Teacher | None, student: nn.Module, site: WorkerContext
) -> StudentWithAdapter:
    """Return the student with the adapter that the trial's loss needs."""
    entry, params = _loss(spec)
    if entry.features:
        ours = [("student", student, spec.distill.student_layers)]
        theirs = [] if teacher is None else [("teacher", teacher.model, spec.distill.teacher_layers)]
        for section, network, layers in (*ours, *theirs):
            check_shows_features(network, spec.distill.loss, section=section, named=bool(layers))
    if entry.adapter is None or teacher is None:
        return StudentWithAdapter(student, None)
    image = an_image(data).to(site.device)
    random = Random().manual_seed(derive_seed(spec.distill.seed, "adapter"))
    networks = ((student, spec.distill.student_layers), (teacher.model, spec.distill.teacher_layers))
    taught, taught_by = (
        shapes(_live(network, image, entry.features, layers)) for network, layers in networks
    )
    adapter = entry.adapter(taught, taught_by, len(data.train), random, params)
    return StudentWithAdapter(student, adapter.to(site.device))


def lesson(
    spec: TrialSpec, data: Dataset, teacher: Teacher | None, seen: Views, site: WorkerContext
) -> Objective:
    """Return the trial's training objective, to be called with a `StudentWithAdapter`."""
    entry, params = _loss(spec)
    answers = _answers(spec, data, teacher, seen, site)
    smoothing = spec.distill.recipe.label_smoothing

    def objective(taught: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        assert isinstance(taught, StudentWithAdapter)
        targets = _smoothed(seen.targets(epoch, index), data.num_classes, smoothing)
        ours = outputs(taught.student, images, entry.features, spec.distill.student_layers)
        theirs = None if answers is None else answers(images, index, epoch)
        now = params if entry.at_epoch is None else entry.at_epoch(params, epoch + 1)
        return teach(entry, ours, theirs, targets, params=now, adapter=taught.adapter, index=index)

    return objective


def _loss(spec: TrialSpec) -> tuple[DistillationLoss, Any]:
    entry = losses.get(spec.distill.loss)
    return entry, make_params(entry.params, spec.distill.params, where=f"distill.{spec.distill.loss}")


def _answers(
    spec: TrialSpec, data: Dataset, teacher: Teacher | None, seen: Views, site: WorkerContext
) -> Answers | None:
    """Return the function that gives the teacher's outputs: stored logits, or live where the loss needs features."""
    entry, _ = _loss(spec)
    if teacher is None or not entry.needs_teacher:
        return None
    if entry.features:
        model = answering(teacher, site, spec.precision)
        layers = spec.distill.teacher_layers
        return lambda images, _index, _epoch: _live(model, images, entry.features, layers)
    stored = TeacherLogits(spec, teacher, seen, data.num_classes, site)
    return lambda _images, index, epoch: Outputs(stored.rows(epoch, index).float())


def _live(model: nn.Module, images: Tensor, features: tuple[str, ...], layers: tuple[str, ...]) -> Outputs:
    with evaluating(model):
        return outputs(model, images, features, layers)


def _smoothed(targets: Tensor, classes: int, smoothing: float) -> Tensor:
    """Return targets with label smoothing applied; unchanged if the smoothing is 0."""
    if smoothing == 0:
        return targets
    hard = one_hot(targets, classes) if targets.dim() == 1 else targets
    return hard * (1 - smoothing) + torch.full_like(hard, smoothing / classes)


@dataclass(frozen=True)
class Taught:
    """A trained student's artifact, and the validation accuracy of the epoch whose weights it holds, if measured."""

    key: str
    val_accuracy: float | None


def distill(
    spec: TrialSpec, data: Dataset, teacher: Teacher | None, student: Student, site: WorkerContext
) -> Generator[Progress | Report, None, Taught]:
    """Train the student, or load it if the store has it; either way yield every epoch's report.

    The student's module holds the trained weights at the end.
    """
    key = student_key(spec)
    reported: list[Report] = []

    def make() -> Generator[Report, None, Made]:
        with closing(_training(spec, data, teacher, student, site, key)) as training:
            for event in training:
                reported.append(event)
                yield event
        meta: dict[str, Json] = {
            "reports": [[r.epoch, r.epochs, r.val_accuracy, r.loss] for r in reported],
            **student.facts(),
        }
        return Made(packed(student.model), meta)

    entry = yield from obtain(site, "student", key, make)
    if not reported and entry.meta.get("params", student.params) != student.params:
        # An earlier version left other channels of such a teacher: that student stays what its records say.
        key = digest({"student": key, "params": student.params})
        entry = yield from obtain(site, "student", key, make)
    if not reported:
        load(student.model, tensors(entry), where=str(entry.folder))
        for report in (Report(*row) for row in _rows(entry)):
            reported.append(report)
            yield report
    accuracies = (report.val_accuracy for report in reported)
    return Taught(key, achieved(accuracies, spec.distill.recipe))


def _training(
    spec: TrialSpec, data: Dataset, teacher: Teacher | None, student: Student, site: WorkerContext, key: str
) -> Generator[Report, None, None]:
    """Train the student in place, for the artifact of a key."""
    seen = views(data, augment=spec.data.augment, stream=spec.distill.view_seed, site=site)
    fitting = Fitting(spec, data, site, stage="distill", key=key)
    training = fitting.run(
        pupil(spec, data, teacher, student.model, site),
        seen=seen,
        objective=lesson(spec, data, teacher, seen, site),
        recipe=spec.distill.recipe,
        seed=derive_seed(spec.distill.seed, "student"),
    )
    with closing(training):
        for report in training:
            yield Report(report.epoch, report.epochs, report.val_accuracy, report.loss)


def _rows(entry: Entry) -> list[Any]:
    rows = entry.meta["reports"]
    assert isinstance(rows, list)
    return rows
