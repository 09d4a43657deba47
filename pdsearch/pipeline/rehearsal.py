"""Dry run of a trial: its networks, pruning and loss are tried once with a few images.

Training a teacher takes hours; a method that cannot prune it or a loss that cannot compare it with the student should
be refused before.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdsearch.data import Dataset
from pdsearch.data.augmentation_parser import chain, check_applies
from pdsearch.data.dataset.views import one_hot
from pdsearch.distillation import make_adapter, teach
from pdsearch.distillation.features import check_shows_features
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.models import without_weights
from pdsearch.models.features import find_layers
from pdsearch.pipeline.first_step import (
    IMAGES,
    check_answers,
    check_step,
    images,
    labels,
    smallest,
    told,
    training,
)
from pdsearch.pipeline.networks import Teacher, outputs, shapes
from pdsearch.pipeline.prune import smallest_batch
from pdsearch.pipeline.student import FROM_TEACHER, built, shaped
from pdsearch.pruning import prunable, prune, targets
from pdsearch.pruning.prunable import every_weight
from pdsearch.pruning.registry import methods
from pdsearch.registry import make_params
from pdsearch.specs import Recipe, StudentSpec, TeacherSpec, TrialSpec

__all__ = ["Untrained", "rehearse_lesson", "rehearse_pruning"]


class Untrained:
    """Read-only cache of untrained networks for one data set: each is built once.

    Args:
        data: The data set.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._built: dict[tuple[str, StudentSpec], nn.Module] = {}
        self._checked: set[tuple[int, int]] = set()

    def student(self, shape: StudentSpec) -> nn.Module:
        """Return a student in evaluation mode, with weights drawn from an arbitrary seed.

        Raises:
            ConfigError: It cannot be built.
        """
        return self._get("student.model", shape)

    def teacher(self, spec: TeacherSpec) -> nn.Module:
        """Return a teacher in evaluation mode, with weights drawn from an arbitrary seed.

        Raises:
            ConfigError: It cannot be built.
        """
        return self._get("teacher.model", StudentSpec(spec.model, without_weights(spec.model, spec.options)))

    def check(self, network: nn.Module, recipe: Recipe | None, name: str, section: str) -> None:
        """Check one of these networks, once for each batch size that makes a difference.

        Args:
            network: A network returned by `student` or `teacher`.
            recipe: How it will be trained; None if it will not be.
            name: Its name in messages.
            section: Section of the space: "student" or "teacher".

        Raises:
            ConfigError: It does not return logits, or cannot be trained.
        """
        count = 0 if recipe is None else smallest(recipe, self.data)
        if (id(network), count) in self._checked:
            return
        where, field = f"{section}.model", "train.distill" if section == "student" else "train.teacher"
        check_answers(network, self.data, name=name, where=where)
        if recipe is not None:
            check_step(network, recipe, self.data, name=name, where=where, field=field)
        self._checked.add((id(network), count))

    def _get(self, where: str, shape: StudentSpec) -> nn.Module:
        known = (where, replace(shape, code=""))
        if known not in self._built:
            with told(shape.model, where):
                self._built[known] = built(shape, self.data, seed=0).eval()
        return self._built[known]


def rehearse_pruning(spec: TrialSpec, data: Dataset) -> None:
    """Prune a trial's untrained teacher once; nothing is trained or stored.

    Raises:
        ConfigError: The teacher cannot be built or pruned: a pattern of `prune.exclude` matches nothing, the method
            finds nothing to score, or it fails.
    """
    if spec.prune is None:
        return
    teacher = Untrained(data).teacher(spec.teacher)  # Not shared, because pruning changes it.
    if spec.prune.at == "trained" and spec.prune.recovery != "none":
        name, where = spec.teacher.model, "teacher.model"
        check_step(teacher, spec.prune.recipe, data, name=name, where=where, field="train.recover")
    with every_weight(spec.prune.weights == "matrices"):
        prunable(teacher, spec.prune.exclude)
    method, lone = methods.get(spec.prune.method), min(IMAGES, smallest_batch(data))
    on = (
        "two images" if lone == IMAGES else "two images, or the one that is left over of those it scores with"
    )
    with told(spec.prune.method, "prune.method", on=on):
        mask = prune(
            teacher,
            method=method,
            params=make_params(method.params, spec.prune.params, where=f"prune.{method.name}"),
            batches=[(images(data, count), labels(data, count)) for count in {IMAGES, lone}],
            generator=Generator().manual_seed(0),
            sparsity=targets(spec.prune)[0],
            scope=spec.prune.scope,
            exclude=spec.prune.exclude,
            weights=spec.prune.weights,
        )
    if spec.student.model == FROM_TEACHER:
        _rehearse_shape(spec, data, Teacher("", teacher, mask, {}))


def _rehearse_shape(spec: TrialSpec, data: Dataset, pruned: Teacher) -> None:
    """Form the student that a pruned teacher leaves, and try the first step of its training."""
    name, where = f"the student shaped from {spec.teacher.model}", "student.model"
    with told(name, where):
        student = built(shaped(spec, data, pruned), data, seed=0).eval()
    check_answers(student, data, name=name, where=where)
    check_step(student, spec.distill.recipe, data, name=name, where=where, field="train.distill")


def rehearse_lesson(spec: TrialSpec, untrained: Untrained) -> None:
    """Build a trial's networks, run them on two images, and try each training's first step, up to the optimizer's.

    Raises:
        ConfigError: The augmentation is not for such inputs, a network cannot be built, does not return logits or
            cannot be trained, no student can be derived from the teacher, or the loss cannot compare the two.
    """
    data = untrained.data
    check_applies(spec.data.augment, data.inputs)
    teacher = untrained.teacher(spec.teacher)
    recipe = spec.teacher.recipe if spec.teacher.trained_here else None
    untrained.check(teacher, recipe, spec.teacher.model, "teacher")
    student = untrained.student(_shape(spec, data, teacher))
    untrained.check(student, spec.distill.recipe, spec.student.model, "student")
    with told(spec.distill.loss, "distill.loss"), training(student):
        _check_loss(spec, data, teacher, student)


def _shape(spec: TrialSpec, data: Dataset, teacher: nn.Module) -> StudentSpec:
    """Return the architecture of the trial's student."""
    with told(spec.student.model, "student.model"):
        return shaped(spec, data, Teacher("", teacher, None, {}))


def _check_loss(spec: TrialSpec, data: Dataset, teacher: nn.Module, student: nn.Module) -> None:
    count = smallest(spec.distill.recipe, data)
    shown_images = images(data, count)
    entry = losses.get(spec.distill.loss)
    params = make_params(entry.params, spec.distill.params, where=f"distill.{entry.name}")
    named = {"student": spec.distill.student_layers, "teacher": spec.distill.teacher_layers}
    for section, network in (("student", student), ("teacher", teacher)):
        if entry.features:
            check_shows_features(network, entry.name, section=section, named=bool(named[section]))
            with told(entry.name, f"distill.{section}_layers"):
                find_layers(network, named[section])
    with torch.no_grad():
        theirs = (
            outputs(teacher, shown_images, entry.features, named["teacher"]) if entry.needs_teacher else None
        )
    ours = outputs(student, shown_images, entry.features, named["student"])
    generator = Generator().manual_seed(0)
    shown = (shapes(ours), shapes(theirs or ours))
    adapter = make_adapter(entry, *shown, images=count, generator=generator, params=params)
    now = params if entry.at_epoch is None else entry.at_epoch(params, 1)
    index, targets = torch.arange(count), _targets(spec, data, count)
    loss: Any = teach(entry, ours, theirs, targets, params=now, adapter=adapter, index=index)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ConfigError(f"it returns {found}, not a scalar", hint="take the mean over the batch")
    if not loss.requires_grad:
        raise ConfigError(
            "it does not depend on the student", hint="compute it from the student's outputs, undetached"
        )
    torch.autograd.backward(loss)


def _targets(spec: TrialSpec, data: Dataset, count: int) -> Tensor:
    """Return targets of the kind the trial will have: probabilities if labels are smoothed or mixed."""
    hard = labels(data, count)
    if chain(spec.data.augment).mixing is None and spec.distill.recipe.label_smoothing == 0:
        return hard
    return one_hot(hard, data.num_classes)
