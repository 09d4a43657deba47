"""How are several networks of one architecture computed as one? Channels side by side, convolutions in groups.

A tiny network spends its time on starting operations, not on computing: as one network, several of them start as many
as one of them does.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Stack", "agrees"]

TOLERANCE = 1e-9
"""Greatest difference of logits in float64 between a stack and its networks one by one."""


class StackedLinear(nn.Module):
    """The linear layers of K networks, as one batched matrix product; features lie network by network.

    Args:
        layers: Of one shape, with biases.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        # Of one dimension, as a layer's own: whether weight decay acts on it goes by that.
        self.bias = nn.Parameter(torch.cat([layer.bias.detach() for layer in layers]))

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, K * outputs) of (B, K * inputs)."""
        count, outputs = self.weight.shape[:2]
        apart = features.unflatten(1, (count, -1)).transpose(0, 1)
        bias = self.bias.view(count, 1, outputs).to(apart.dtype)
        found: Tensor = torch.baddbmm(bias, apart, self.weight.to(apart.dtype).transpose(1, 2))
        return found.transpose(0, 1).reshape(len(features), -1)


class Stack(nn.Module):
    """K networks as one, each with its own weights, images and logits.

    Args:
        networks: Of one architecture of convolutions, batch normalisation and linear layers with biases, whose other
            parts treat every channel alike (`agrees` says whether they do). They are left as they are.

    Raises:
        ValueError: A module with weights is none of these.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(networks)
        self.network = copy.deepcopy(networks[0])
        for name, module in list(self.network.named_modules()):
            if list(module.parameters(recurse=False)):
                joined = _joined([network.get_submodule(name) for network in networks])
                parent, _, last = name.rpartition(".")
                setattr(self.network.get_submodule(parent), last, joined)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, K, classes), of images (B, K * C, H, W)."""
        logits: Tensor = self.network(images)
        return logits.view(len(images), self.count, -1)

    def apart(self) -> list[dict[str, Tensor]]:
        """Return the weights and buffers of each network, by the names they have in it."""
        found: list[dict[str, Tensor]] = [{} for _ in range(self.count)]
        for name, tensor in self.network.state_dict().items():
            for own, part in zip(found, self._parts(name, tensor), strict=True):
                own[name] = part
        return found

    def _parts(self, name: str, tensor: Tensor) -> Sequence[Tensor]:
        if tensor.dim() == 0:  # A count of batches, which is everyone's.
            return [tensor] * self.count
        owner = self.network.get_submodule(name.rpartition(".")[0])
        if isinstance(owner, StackedLinear) and tensor.dim() == 3:
            return tensor.unbind()
        return tensor.chunk(self.count)


def agrees(networks: Sequence[nn.Module], image: tuple[int, int, int]) -> bool:
    """Return whether a stack of networks says what they say one by one, in float64, in training and in evaluation.

    Args:
        networks: Of one architecture, on the CPU.
        image: Shape of an image, (C, H, W).
    """
    with torch.random.fork_rng(devices=[]):
        exact = [copy.deepcopy(network).double() for network in networks]
        generator = torch.Generator().manual_seed(0)
        images = [torch.randn((2, *image), generator=generator, dtype=torch.float64) for _ in networks]
        try:
            return all(_close(exact, images, training) for training in (True, False))
        # Of other parts, or channels side by side do not fit through one: code of the user's own may raise anything.
        except Exception:
            return False


@torch.no_grad()
def _close(networks: Sequence[nn.Module], images: Sequence[Tensor], training: bool) -> bool:
    stack = Stack(networks).train(training)
    together = stack(torch.cat(list(images), dim=1))
    apart = [network.train(training)(own) for network, own in zip(networks, images, strict=True)]
    return bool((together - torch.stack(apart, dim=1)).abs().max() <= TOLERANCE)


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
        if tensor.dim():
            whole = torch.cat([found[name].detach() for found in tensors])
            setattr(made, name, nn.Parameter(whole) if isinstance(tensor, nn.Parameter) else whole)
    return made
