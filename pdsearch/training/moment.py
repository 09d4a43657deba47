"""What does a step change beside gradients? Buffers, the sum of losses, and what generators will draw."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pdsearch.training.part import random_states, restore_random
from pdsearch.training.state import TrainingState

__all__ = ["Moment", "equal"]


class Moment:
    """A copy of all that a step without its optimizer changes, to go back to and to compare with.

    Args:
        state: Holds the network; its buffers are copied.
        total: The sum of losses.
        device: Of the training.
    """

    def __init__(self, state: TrainingState, total: Tensor, device: str) -> None:
        self._tensors, self._device = [total, *state.model.buffers()], device
        self._copies = [tensor.clone() for tensor in self._tensors]
        self._random = random_states(device)

    def restore(self) -> None:
        """Go back."""
        for tensor, copy in zip(self._tensors, self._copies, strict=True):
            tensor.copy_(copy)
        restore_random(self._random, self._device)

    def is_now(self) -> bool:
        """Return whether everything is as it was, bit for bit."""
        drawn = any(self.drew(name) for name in self._random)
        return not drawn and equal(self._tensors, self._copies)

    def drew(self, generator: str) -> bool:
        """Return whether a generator, "cpu" or "cuda", has been drawn from since."""
        return not torch.equal(self._random[generator], random_states(self._device)[generator])


def equal(some: Sequence[Tensor | None], others: Sequence[Tensor | None]) -> bool:
    """Return whether tensors are the same to the bit; waits for the device once."""
    if [one is None for one in some] != [other is None for other in others]:
        return False
    pairs = [(a, b) for a, b in zip(some, others, strict=True) if a is not None and b is not None]
    return not pairs or bool(torch.stack([(a == b).all() for a, b in pairs]).all())
