"""How are several networks of one architecture computed as one? By grouped convolutions, or by torch.func's vmap.

Both take what one after another takes, replica by replica, and give its logits back, so that loss and order of images
stay each replica's own.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from pdsearch.models.stacked import Stack

__all__ = ["grouped", "of_replica", "vmapped"]

Forward = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""forward(images of each replica, (B, C, H, W)) -> logits of each replica, (B, classes)."""


def grouped(networks: Sequence[nn.Module]) -> tuple[Forward, nn.Module]:
    """Return K networks as one of grouped convolutions, and the module that holds its weights."""
    stack = Stack(networks).to(memory_format=torch.channels_last)

    def forward(images: Sequence[Tensor]) -> Sequence[Tensor]:
        together = torch.cat(list(images), dim=1).contiguous(memory_format=torch.channels_last)
        logits: Tensor = stack(together)
        return logits.unbind(1)

    return forward, stack


class Vmapped(nn.Module):
    """K networks as one by stacked weights and vmap.

    Args:
        networks: Of one architecture.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        weights, buffers = stack_module_state(list(networks))
        self._names = list(weights)
        self.weights = nn.ParameterList([nn.Parameter(tensor.detach()) for tensor in weights.values()])
        self._stats = buffers
        self._shape = [copy.deepcopy(networks[0]).to("meta")]  # In a list: its weights are not ours.

    def forward(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the logits of each replica."""
        network = self._shape[0].train(self.training)

        def one(weights: dict[str, Tensor], buffers: dict[str, Tensor], batch: Tensor) -> Tensor:
            found: Tensor = functional_call(network, (weights, buffers), (batch,))
            return found

        weights = dict(zip(self._names, self.weights, strict=True))
        logits: Tensor = torch.vmap(one, randomness="different")(
            weights, self._stats, torch.stack(list(images))
        )
        return logits.unbind()


def vmapped(networks: Sequence[nn.Module]) -> tuple[Forward, nn.Module]:
    """Return K networks as one under vmap, and the module that holds its weights."""
    module = Vmapped(networks)
    return module, module


def of_replica(stack: Stack, number: int) -> Tensor:
    """Return all weights of one replica as one vector, in the order of its parameters."""
    state, names = stack.apart()[number], [name for name, _ in stack.network.named_parameters()]
    return torch.cat([state[name].detach().flatten() for name in names])
