"""The distillation stage: trains the student, yields one report per epoch, and stores the student as an artifact.

The teacher's logits of each view are computed once per teacher and stream of views, and stored for all trials.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator as Random
from torch import Tensor, nn

from pdsearch.artifacts import Entry
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.dataset.views import Views, one_hot
from pdsearch.distillation import Outputs, teach
from pdsearch.distillation.compared_outputs import check_shows_features
from pdsearch.distillation.registry import DistillationLoss, losses
from pdsearch.models import copied, evaluating
from pdsearch.pipeline.cache import Made, drain, obtain, tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.keys import outputs_key, student_key
from pdsearch.pipeline.networks import (
    Teacher,
    an_image,
    answering,
    load_weights,
    network_tensors,
    outputs,
    shapes,
)
from pdsearch.pipeline.stage_training import Fitting, achieved
from pdsearch.pipeline.student import Student
from pdsearch.protocol import Progress, Report
from pdsearch.registry import make_params
from pdsearch.specs import Json, TrialSpec, derive_seed, digest
from pdsearch.training.evaluate import check_finite, logits
from pdsearch.training.fit import Objective

Answers = Callable[[Tensor, Tensor, int], Outputs]
"""answers(images, index, epoch) -> the teacher's outputs for a batch."""


class StudentWithAdapter(nn.Module):
    """The student and, if the loss has one, the adapter trained with it.

    Both are checkpointed together; only the student is evaluated, stored and exported.
    """

    def __init__(self, student: nn.Module, adapter: nn.Module | None) -> None:
        super().__init__()
        self.student, self.adapter = student, adapter

    def forward(self, images: Tensor) -> Tensor:
        """Return the student's logits, (B, classes)."""
        logits: Tensor = self.student(images)
        return logits


def student_with_adapter(
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
    taught, taught_by = (  # Of copies: a first pass may set buffers that training starts from.
        shapes(_live(copied(network), image, entry.features, layers)) for network, layers in networks
    )
    adapter = entry.adapter(taught, taught_by, len(data.train), random, params)
    return StudentWithAdapter(student, adapter.to(site.device))


def distillation_objective(
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


def distilled_student(
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
            **student.facts().as_built(),
        }
        return Made(network_tensors(student.model), meta)

    entry = yield from obtain(site, "student", key, make)
    if not reported and entry.meta.get("params", student.params) != student.params:
        # An earlier version left other channels of such a teacher: that student stays what its records say.
        key = digest({"student": key, "params": student.params})
        entry = yield from obtain(site, "student", key, make)
    if not reported:
        load_weights(student.model, tensors(entry), where=str(entry.folder))
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
        student_with_adapter(spec, data, teacher, student.model, site),
        seen=seen,
        objective=distillation_objective(spec, data, teacher, seen, site),
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


_BLOCK_BYTES, _BLOCK_EPOCHS = 2**20, 8
_BATCH_SIZE = 500


@dataclass
class TeacherLogits:
    """The teacher's logits for the views of one stream, epoch by epoch."""

    spec: TrialSpec
    teacher: Teacher
    seen: Views
    classes: int
    site: WorkerContext
    _current: dict[int, Tensor] = field(default_factory=dict)

    @property
    def stored(self) -> bool:
        """Whether the logits of all epochs fit into the limit; otherwise none of them is stored."""
        epochs = 1 if self.seen.constant else self.spec.distill.recipe.epochs
        return self._epoch_bytes * epochs <= self.site.outputs_limit_bytes

    def rows(self, epoch: int, index: Tensor) -> Tensor:
        """Return the logits of the indexed images' views in an epoch (from 0), (B, classes)."""
        epoch = 0 if self.seen.constant else epoch
        if epoch not in self._current:
            self._current = self._load(epoch)
        return self._current[epoch][index]

    def _load(self, epoch: int) -> dict[int, Tensor]:
        per_block = self._epochs_per_block
        block = epoch // per_block
        key = outputs_key(self.spec, block=block, epochs_per_block=per_block)
        if not self.stored or not self._has_a_place(key):
            return {epoch: self._live(epoch)}

        def load() -> tuple[Tensor, int]:
            entry = drain(obtain(self.site, "outputs", key, lambda: self._compute(block)))
            held = tensors(entry)["logits"].to(self.site.device)  # (epochs of the block, N, classes)
            return held, held.nbytes

        held = self.site.kept.get(("outputs", key), load)
        return {block * per_block + row: held[row] for row in range(len(held))}

    def _has_a_place(self, key: str) -> bool:
        there = self.site.store.find("outputs", key) is not None
        return there or self.site.logits_limit.take(self._epoch_bytes * self._epochs_per_block)

    def _live(self, epoch: int) -> Tensor:
        """Return the teacher's logits for all views of an epoch, (N, classes), in the precision it computes in."""
        engine = self.site.engine(self.spec.precision)
        model = answering(self.teacher, self.site, self.spec.precision)
        found = logits(model, self.seen, engine=engine, epoch=epoch, batch_size=_BATCH_SIZE)
        check_finite(found, "training")
        return found

    @property
    def _epoch_bytes(self) -> int:
        width = 4 if self.spec.precision == "fp32" else 2
        return len(self.seen) * self.classes * width

    @property
    def _epochs_per_block(self) -> int:
        return 1 if self.seen.constant else max(1, min(_BLOCK_EPOCHS, _BLOCK_BYTES // self._epoch_bytes))

    def _compute(self, block: int) -> Generator[Progress, None, Made]:
        per_block = self._epochs_per_block
        rows = []
        for epoch in range(block * per_block, (block + 1) * per_block):
            yield Progress("outputs", note="teacher's logits", epoch=epoch + 1)
            rows.append(self._live(epoch))
        return Made({"logits": torch.stack(rows)}, {"block": block, "epochs": per_block})
