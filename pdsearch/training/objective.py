"""Training objective: the loss as a function of the network and a batch."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

Objective: TypeAlias = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""objective(model, images, index, epoch) -> scalar loss, the mean over the batch.

Images are float32 (B, C, H, W) on the engine's device, index int64 (B,) their positions in the split, epoch
counts from 0. It is called under autocast, with the network in training mode.
"""


Targets: TypeAlias = Callable[[int, Tensor], Tensor]
"""targets(epoch, index) -> class indices, int64 (B,), or probabilities, float32 (B, classes)."""


def towards(targets: Targets, *, label_smoothing: float = 0.0) -> Objective:
    """Return the cross-entropy objective with the targets of an epoch's views."""

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        answers = model(images).float()
        return functional.cross_entropy(answers, targets(epoch, index), label_smoothing=label_smoothing)

    return objective
