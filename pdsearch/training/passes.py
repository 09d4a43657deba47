"""What does a step compute before the optimizer moves the weights? Loss and gradients of a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pdsearch.training.engine import Engine
from pdsearch.training.objective import Objective
from pdsearch.training.order import batches
from pdsearch.training.state import TrainingState

__all__ = ["Passes"]


@dataclass(frozen=True)
class Passes:
    """Forward and backward passes of a network in training.

    Args:
        state: Holds the network; its gradients are replaced.
        objective: The loss.
        engine: Precision, and in how many parts a batch is computed.
    """

    state: TrainingState
    objective: Objective
    engine: Engine

    def run(self, images: Tensor, index: Tensor, epoch: int, total: Tensor) -> None:
        """Compute a batch's gradients, and add the losses of its images to a total; no part is a single image.

        Args:
            images: Float32 (B, C, H, W), on the device.
            index: int64 (B,), their positions in the split.
            epoch: From 0.
            total: Float64 (), on the device: asking for each step's loss would make a GPU wait at every step.
        """
        self.state.forget_gradients()
        count = self.engine.parts
        parts = [index] if count == 1 else batches(index, max(2, -(-len(index) // count)))
        for shown, part in zip(images.split([len(part) for part in parts]), parts, strict=True):
            with self.engine.autocast():
                loss = self.objective(self.state.model, shown, part, epoch)
            self._backward(loss if len(part) == len(index) else loss * (len(part) / len(index)))
            total.add_(loss.detach(), alpha=len(part))

    def _backward(self, loss: Tensor) -> None:
        scaler = self.state.scaler
        torch.autograd.backward(loss if scaler is None else scaler.scale(loss))
