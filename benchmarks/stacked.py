"""How are several networks of one architecture computed as one? By grouped convolutions, or by torch.func's vmap.

Both take what one after another takes, replica by replica, and give its logits back, so that loss and order of images
stay each replica's own.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

__all__ = ["grouped", "of_replica", "vmapped"]

Forward = Callable[[Sequence[Tensor]], Sequence[Tensor]]
"""forward(images of each replica, (B, C, H, W)) -> logits of each replica, (B, classes)."""


class StackedLinear(nn.Module):
    """The linear layers of K replicas, as one batched matrix product; features lie replica by replica."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias.detach() for layer in layers]
        self.bias = nn.Parameter(torch.stack(biases)[:, None])  # (K, 1, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, K * outputs) of (B, K * inputs)."""
        apart = features.unflatten(1, (len(self.weight), -1)).transpose(0, 1)
        found = torch.baddbmm(self.bias.to(apart.dtype), apart, self.weight.to(apart.dtype).transpose(1, 2))
        return found.transpose(0, 1).flatten(1)


class Grouped(nn.Module):
    """K networks as one, channels replica by replica: convolutions in K times as many groups.

    Args:
        networks: Of one architecture of convolutions, batch normalisation and linear layers with a bias.

    Raises:
        ValueError: A module with weights is none of these.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(networks)
        self.network = copy.deepcopy(networks[0])
        for name, module in list(self.network.named_modules()):
            if list(module.parameters(recurse=False)):
                same = [network.get_submodule(name) for network in networks]
                parent, _, last = name.rpartition(".")
                setattr(self.network.get_submodule(parent), last, _joined(same))

    def forward(self, images: Sequence[Tensor]) -> Sequence[Tensor]:
        """Return the logits of each replica."""
        together = torch.cat(list(images), dim=1).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(together)
        return logits.chunk(self.count, dim=1)


def _joined(same: Sequence[nn.Module]) -> nn.Module:
    first = same[0]
    if isinstance(first, nn.Linear) and first.bias is not None:
        return StackedLinear([layer for layer in same if isinstance(layer, nn.Linear)])
    made = copy.deepcopy(first)
    if isinstance(made, nn.Conv2d):
        made.groups, made.in_channels = made.groups * len(same), made.in_channels * len(same)
        made.out_channels *= len(same)
    elif isinstance(made, nn.BatchNorm2d):
        made.num_features *= len(same)
    else:
        raise ValueError(f"{type(first).__name__} cannot be stacked")
    tensors = [dict([*module.named_parameters(), *module.named_buffers()]) for module in same]
    for name, tensor in tensors[0].items():
        if tensor.dim():  # Not the count of batches.
            whole = torch.cat([found[name].detach() for found in tensors])
            setattr(made, name, nn.Parameter(whole) if isinstance(tensor, nn.Parameter) else whole)
    return made


def grouped(networks: Sequence[nn.Module]) -> tuple[Forward, nn.Module]:
    """Return K networks as one of grouped convolutions, and the module that holds its weights."""
    module = Grouped(networks).to(memory_format=torch.channels_last)
    return module, module


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


def of_replica(module: Grouped | Vmapped, number: int) -> Tensor:
    """Return all weights of one replica as one vector, in the order of its parameters."""
    if isinstance(module, Vmapped):
        return torch.cat([weight[number].detach().flatten() for weight in module.weights])
    parts = []
    for weight in module.parameters():
        if weight.dim() == 3:
            parts.append(weight[number].detach().flatten())  # A linear layer's weight or bias.
        else:
            parts.append(weight.chunk(module.count)[number].detach().flatten())
    return torch.cat(parts)
