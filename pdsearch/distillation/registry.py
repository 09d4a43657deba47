"""The registry of distillation losses, pure functions of outputs and targets, and their application to a batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from torch import Generator, Tensor, nn

from pdsearch.errors import ConfigError, TrialError
from pdsearch.registry import NoParams, Registry
from pdsearch.user_code import load_part


@dataclass(frozen=True)
class Outputs:
    """Outputs of one network for one batch.

    Args:
        logits: (B, classes).
        features: Feature maps or pooled features by name, (B, ...); empty unless the loss declares them.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)


TRAITS = ("needs_teacher", "features", "adapter", "at_epoch")
"""Function attributes that a user's own loss may declare, beside its parameters."""

Loss: TypeAlias = Callable[[Outputs, Outputs, Tensor, Any], Tensor]
"""loss(student, teacher, targets, params) -> scalar, mean over the batch.

Targets are class indices, int64 (B,), or probabilities, float (B, classes). It never runs a network.
"""


FeatureShapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Feature shapes for one image, by name: (C, H, W) of a stage, (F,) of pooled features."""

Adapter: TypeAlias = Callable[[FeatureShapes, FeatureShapes, int, Generator, Any], nn.Module]
"""adapter(student shapes, teacher shapes, training images, generator, params) -> module.

The module transforms the outputs before the loss: module(student, teacher, index) -> (student, teacher),
all `Outputs`, index the images' positions in the training set, int64 (B,). Its parameters are trained with the
student, its parameters and buffers are part of the checkpoint, and it is not part of the exported student.
"""


@dataclass(frozen=True)
class DistillationLoss:
    """A registered loss.

    Args:
        name: Its name in space files.
        loss: The function.
        params: Dataclass of its parameters.
        needs_teacher: False for losses without a teacher; they receive the student's outputs in its place.
        features: Names of the features it uses of both networks, e.g. "pooled"; "stage*" is every stage.
        adapter: Builds the module that is trained with the student, if the loss needs one.
        at_epoch: at_epoch(params, epoch) -> parameters of an epoch, counted from 1, if they change over time.
    """

    name: str
    loss: Loss
    params: type[Any]
    needs_teacher: bool = True
    features: tuple[str, ...] = ()
    adapter: Adapter | None = None
    at_epoch: Callable[[object, int], object] | None = None


def _own(name: str) -> DistillationLoss:
    """Return the user's loss of a dotted path, with traits from the attributes of the function."""
    called_with = "the student's and the teacher's outputs, targets and parameters"
    loss, params = load_part(name, noun="loss", called_with=called_with, arguments=4)
    declared = {trait: getattr(loss, trait) for trait in TRAITS if hasattr(loss, trait)}
    return DistillationLoss(name, loss, params, **declared)


losses: Registry[DistillationLoss] = Registry(
    "distillation loss", "pdsearch.distillation.losses", own=_own, function_of=lambda entry: entry.loss
)


def distillation_loss(name: str, *, params: type[Any] = NoParams, **traits: Any) -> Callable[[Loss], Loss]:
    """Register the decorated function as a distillation loss.

    Args:
        name: Its name in space files.
        params: Dataclass of its parameters, each declared with `pdsearch.registry.parameter`.
        traits: Further fields of `DistillationLoss`, e.g. features=("pooled",).
    """

    def decorate(loss: Loss) -> Loss:
        losses.add(name)(DistillationLoss(name, loss, params, **traits))
        return loss

    return decorate


def teach(
    entry: DistillationLoss,
    student: Outputs,
    teacher: Outputs | None,
    targets: Tensor,
    *,
    params: object,
    adapter: nn.Module | None = None,
    index: Tensor | None = None,
) -> Tensor:
    """Return the loss of one batch, a scalar to differentiate.

    Args:
        entry: A registered loss.
        student: Outputs of the network being trained.
        teacher: Outputs of the frozen teacher; None if the loss needs none.
        targets: Class indices, int64 (B,), or probabilities, float (B, classes).
        params: An instance of the loss's parameter dataclass.
        adapter: Module that the loss's `adapter` returned.
        index: Positions of the images in the training set, int64 (B,); needed with an adapter.

    Raises:
        TrialError: The teacher's outputs, the adapter or the index are missing.
        ConfigError: The loss is no scalar, or does not depend on the student.
    """
    if teacher is None:
        if entry.needs_teacher:
            raise TrialError(f"{entry.name} needs a teacher")
        teacher = student
    if entry.adapter is not None:
        if adapter is None or index is None:
            raise TrialError(f"{entry.name} needs its adapter and the images' numbers")
        student, teacher = adapter(student, teacher, index)
    loss: object = entry.loss(student, teacher, targets, params)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ConfigError(f"{entry.name} returns {found}, not a scalar", hint="take the mean over the batch")
    if student.logits.requires_grad and not loss.requires_grad:
        hint = "compute it from the student's outputs, undetached"
        raise ConfigError(f"{entry.name} does not depend on the student", hint=hint)
    return loss
