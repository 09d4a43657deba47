"""Exponential moving average of a network's weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from pdsearch.models import load_tensors, state_tensors


class Average:
    """The exponential moving average of a network's weights and of its normalisation's statistics.

    The decay grows to its value as min(decay, (1 + n) / (10 + n)) after n earlier steps, so that a short training
    forgets its first weights (TensorFlow's ExponentialMovingAverage with num_updates). Counts are copied. A weight
    that is always zero stays exactly zero.

    Args:
        decay: In (0, 1).
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        self.weights: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, model: nn.Module) -> None:
        """Update the average with a network's current weights; the first call copies them."""
        present = state_tensors(model)
        if not self.weights:
            self.weights = {name: tensor.clone() for name, tensor in present.items()}
        self.steps += 1
        means = [name for name, mean in self.weights.items() if mean.is_floating_point()]
        update = get_ema_multi_avg_fn(min(self._decay, self.steps / (9 + self.steps)))
        update([self.weights[name] for name in means], [present[name] for name in means], self.steps)
        for name in self.weights.keys() - set(means):
            self.weights[name] = present[name].clone()

    @contextmanager
    def within(self, model: nn.Module) -> Iterator[None]:
        """Run a block with the average loaded into a network; its own weights are restored afterwards."""
        own = {name: tensor.clone() for name, tensor in state_tensors(model).items()}
        load_tensors(model, self.weights)
        try:
            yield
        finally:
            load_tensors(model, own)

    def restore(self, weights: Mapping[str, Tensor], steps: int) -> None:
        """Restore an average after `steps` steps; empty weights mean that there is none yet."""
        self.weights, self.steps = dict(weights), steps
