"""Would a trial get through? Its networks, its pruning and its loss are tried once, with two made-up images.

A teacher takes hours; what cannot prune it or compare it with its student should be refused before, not after.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdsearch.data import Dataset
from pdsearch.data.combining import chain
from pdsearch.data.views import one_hot
from pdsearch.distillation import make_adapter, teach
from pdsearch.distillation.features import check_shows_features
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.models import without_weights
from pdsearch.parameters import make_params
from pdsearch.pruning import prunable, prune, targets
from pdsearch.pruning.registry import methods
from pdsearch.specs import Params, StudentSpec, TeacherSpec, TrialSpec
from pdsearch.stages.answers import outputs, shapes
from pdsearch.stages.networks import Network, blank
from pdsearch.stages.student import shaped

__all__ = ["Untrained", "rehearse_lesson", "rehearse_pruning"]

IMAGES = 2


class Untrained:
    """Untrained networks for one data set, to look at and not to train or change: each is built once.

    Args:
        data: The data set.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._built: dict[tuple[str, str, Params], nn.Module] = {}

    def student(self, shape: StudentSpec) -> nn.Module:
        """Return a student in use, its weights drawn from a seed that means nothing.

        Raises:
            ConfigError: It cannot be built.
        """
        return self._get("student.model", shape.model, shape.options)

    def teacher(self, spec: TeacherSpec) -> nn.Module:
        """Return a teacher in use, its weights drawn from a seed that means nothing.

        Raises:
            ConfigError: It cannot be built.
        """
        return self._get("teacher.model", spec.model, without_weights(spec.model, spec.options))

    def _get(self, where: str, name: str, options: Params) -> nn.Module:
        known = (where, name, options)
        if known not in self._built:
            with _told(name, where):
                self._built[known] = blank(name, options, self.data, seed=0).eval()
        return self._built[known]


def rehearse_pruning(spec: TrialSpec, data: Dataset) -> None:
    """Prune a trial's untrained teacher once; nothing is trained or kept.

    Raises:
        ConfigError: The teacher cannot be built, or cannot be pruned so: a pattern of `prune.exclude` matches nothing,
            the method finds nothing to score, or it fails.
    """
    if spec.prune is None:
        return
    teacher = Untrained(data).teacher(spec.teacher)  # Of its own: what is pruned is changed.
    prunable(teacher, spec.prune.exclude)
    method = methods.get(spec.prune.method)
    with _told(spec.prune.method, "prune.method"):
        prune(
            teacher,
            method=method,
            params=make_params(method.params, spec.prune.params, where=f"prune.{method.name}"),
            batches=[(_images(data), _labels(data))],
            generator=Generator().manual_seed(0),
            sparsity=targets(spec.prune)[0],
            scope=spec.prune.scope,
            exclude=spec.prune.exclude,
        )


def rehearse_lesson(spec: TrialSpec, untrained: Untrained) -> None:
    """Build a trial's networks, answer two images and compute its loss once; nothing is trained.

    Raises:
        ConfigError: A network cannot be built or does not answer with logits, no student can be shaped, or the loss
            cannot compare the two.
    """
    data = untrained.data
    teacher, images = untrained.teacher(spec.teacher), _images(data)
    student = untrained.student(_shape(spec, data, teacher))
    for network, name, where in (
        (teacher, spec.teacher.model, "teacher.model"),
        (student, spec.student.model, "student.model"),
    ):
        _check_logits(network, images, name, where, data)
    with _told(spec.distill.loss, "distill.loss"):
        _check_loss(spec, data, teacher, student, images)


def _shape(spec: TrialSpec, data: Dataset, teacher: nn.Module) -> StudentSpec:
    """Return the architecture of the trial's student."""
    with _told(spec.student.model, "student.model"):
        return shaped(spec, data, Network("", teacher, None, {}))


def _images(data: Dataset) -> Tensor:
    """Return normalised images that show nothing, (2, C, H, W)."""
    size = (IMAGES, data.channels, data.image_size, data.image_size)
    return torch.randn(size, generator=Generator().manual_seed(0))


def _check_logits(network: nn.Module, images: Tensor, name: str, where: str, data: Dataset) -> None:
    with _told(name, where), torch.no_grad():
        answer: Any = network(images)
    if not isinstance(answer, Tensor) or tuple(answer.shape) != (IMAGES, data.num_classes):
        found = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        what = f"{name} answers {IMAGES} images with {found}, not with logits ({IMAGES}, {data.num_classes})"
        raise ConfigError(what, where=where, hint="return one number for each class, without softmax")


def _check_loss(
    spec: TrialSpec, data: Dataset, teacher: nn.Module, student: nn.Module, images: Tensor
) -> None:
    entry = losses.get(spec.distill.loss)
    params = make_params(entry.params, spec.distill.params, where=f"distill.{entry.name}")
    if entry.features:
        for network in (student, teacher):
            check_shows_features(network, entry.name)
    with torch.no_grad():
        theirs = outputs(teacher, images, entry.features) if entry.needs_teacher else None
    ours = outputs(student, images, entry.features)
    generator = Generator().manual_seed(0)
    shown = (shapes(ours), shapes(theirs or ours))
    adapter = make_adapter(entry, *shown, images=IMAGES, generator=generator, params=params)
    now = params if entry.at_epoch is None else entry.at_epoch(params, 1)
    index, targets = torch.arange(IMAGES), _targets(spec, data)
    loss: Any = teach(entry, ours, theirs, targets, params=now, adapter=adapter, index=index)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ConfigError(f"it returns {found}, not a scalar", hint="take the mean over the batch")
    if not loss.requires_grad:
        raise ConfigError(
            "it does not depend on the student", hint="compute it from the student's outputs, undetached"
        )


def _labels(data: Dataset) -> Tensor:
    return torch.arange(IMAGES) % data.num_classes


def _targets(spec: TrialSpec, data: Dataset) -> Tensor:
    """Return targets of the kind the trial will have: probabilities where labels are smoothed or mixed."""
    labels = _labels(data)
    if chain(spec.data.augment).mixing is None and spec.distill.recipe.label_smoothing == 0:
        return labels
    return one_hot(labels, data.num_classes)


@contextmanager
def _told(name: str, where: str) -> Iterator[None]:
    """Turn whatever a network or a loss raises into one message that names it."""
    try:
        yield
    except PdsearchError as error:
        place = error.where or where
        if place.startswith("options."):  # A network knows its options, and not whose they are.
            place = f"{where.partition('.')[0]}.{place}"
        raise ConfigError(error.what, where=place, hint=error.hint) from error
    except (
        Exception
    ) as error:  # Code of the user's own may raise anything, and torch does for images too small.
        reason = str(error).strip().splitlines()
        what = f"{name} fails on two images: {type(error).__name__}: {reason[0] if reason else 'no reason given'}"
        raise ConfigError(
            what, where=where, hint="nothing was trained; mend it, or choose another"
        ) from error
