"""What is minimised? A function of the network and a batch; hard labels are the plain case."""

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Objective", "hard_labels"]

Objective: TypeAlias = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""objective(model, images, index, epoch) -> scalar loss, the mean over the batch.

Images are float32 (B, C, H, W) on the engine's device, index int64 (B,) their positions in the split, epoch
counts from 0. It is called under autocast, with the network in training mode.
"""


def hard_labels(labels: Tensor, *, label_smoothing: float = 0.0) -> Objective:
    """Return cross-entropy with the labels of a split, int64 (N,), on the device of training."""

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:  # noqa: ARG001 - protocol
        return functional.cross_entropy(model(images).float(), labels[index], label_smoothing=label_smoothing)

    return objective
