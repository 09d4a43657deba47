"""What is a distillation loss? A pure function of outputs and targets, registered with its parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from pdsearch.distillation.outputs import Outputs
from pdsearch.registry import NoParams, Registry

__all__ = ["DistillationLoss", "Loss", "distillation_loss", "losses"]

Loss: TypeAlias = Callable[[Outputs, Outputs, Tensor, Any], Tensor]
"""loss(student, teacher, targets, params) -> scalar, mean over the batch.

Targets are class indices, int64 (B,), or probabilities, float (B, classes). It never runs a network.
"""


@dataclass(frozen=True)
class DistillationLoss:
    """A registered loss.

    Args:
        name: Its name in space files.
        loss: The function.
        params: Dataclass of its parameters.
        needs_teacher: False for the student alone; it is then given its own outputs as the teacher's.
        features: Names of the features it wants of both networks.
    """

    name: str
    loss: Loss
    params: type[Any]
    needs_teacher: bool
    features: tuple[str, ...]


losses: Registry[DistillationLoss] = Registry("distillation loss", "pdsearch.distillation.losses")


def distillation_loss(
    name: str, *, params: type[Any] = NoParams, needs_teacher: bool = True, features: tuple[str, ...] = ()
) -> Callable[[Loss], Loss]:
    """Register the decorated function as a distillation loss."""

    def decorate(loss: Loss) -> Loss:
        losses.add(name)(DistillationLoss(name, loss, params, needs_teacher, features))
        return loss

    return decorate
