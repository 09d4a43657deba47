"""Channels that can only be removed together: coupled by additions, normalisation and the inputs of later layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pruning.gradients import probe
from pdsearch.pruning.prunable import LAYERS, prunable

if TYPE_CHECKING:
    from torch_pruning import DependencyGraph

__all__ = ["LayerChannels", "Tie", "find_ties", "follow"]


@dataclass(frozen=True)
class LayerChannels:
    """The positions of one layer, along one axis, that belong to the channels of a tie.

    Args:
        layer: Name of the module: a convolution, a linear layer or a normalisation.
        outputs: The axis: outputs (0) or inputs (1) of a weight; depthwise convolutions and normalisations have
            outputs only.
        positions: Positions along the axis.
        channels: The tie's channel at each position.
    """

    layer: str
    outputs: bool
    positions: tuple[int, ...]
    channels: tuple[int, ...]

    @property
    def weight(self) -> str:
        """Name of the layer's weight."""
        return f"{self.layer}.weight" if self.layer else "weight"


@dataclass(frozen=True)
class Tie:
    """A set of channels, each of which can only be removed from all layers that produce or read it.

    Args:
        name: Name of the weight of the first layer that produces them.
        size: Number of channels.
        parts: Their positions in layers, in module order.
    """

    name: str
    size: int
    parts: tuple[LayerChannels, ...]


def find_ties(model: nn.Module, image: Tensor, exclude: tuple[str, ...] = ()) -> tuple[Tie, ...]:
    """Return the ties of a network whose channels may be removed, in module order.

    Left out, and so never pruned: the outputs of the last layer; channels that an excluded weight produces or
    reads; channels of grouped (not depthwise) convolutions, which would have to lose equally many in each group.

    Args:
        model: Any network; not changed.
        image: (1, C, H, W), of any values: the network is traced with it.
        exclude: Glob patterns of parameter names that are not pruned.

    Raises:
        ConfigError: The network cannot be traced.
    """
    twin = probe(model)
    excluded = {name for name in prunable(twin) if any(fnmatchcase(name, pattern) for pattern in exclude)}
    names = {module: name for name, module in twin.named_modules()}
    order = {name: place for place, name in enumerate(names.values())}
    classes = twin.get_submodule(list(prunable(twin))[-1].rpartition(".")[0])
    found = []
    for parts in _groups(follow(twin, image), names, classes):
        made = sorted((part for part in parts if part.outputs), key=lambda part: order[part.layer])
        layers = [part for part in made if isinstance(twin.get_submodule(part.layer), LAYERS)]
        if excluded.isdisjoint(part.weight for part in parts) and not _grouped(twin, parts) and layers:
            in_order = sorted(parts, key=lambda part: (order[part.layer], part.outputs))
            size = 1 + max(channel for part in parts for channel in part.channels)
            found.append(Tie(layers[0].weight, size, tuple(in_order)))
    return tuple(sorted(found, key=lambda tie: order[tie.name.rpartition(".")[0]]))


def follow(model: nn.Module, image: Tensor) -> "DependencyGraph":
    """Return torch-pruning's dependency graph of this module, not of a copy.

    Raises:
        ConfigError: The network cannot be traced.
    """
    from torch_pruning import DependencyGraph  # needed for channel pruning only

    with _following(), torch.enable_grad():
        return DependencyGraph().build_dependency(model, example_inputs=image, verbose=False)


@contextmanager
def _following() -> Iterator[None]:
    """Turn any error of torch-pruning into one message: on unsupported networks it may raise anything."""
    try:
        yield
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"the channels of this network cannot be followed ({reason})",
            where="prune.method",
            hint="use a method that removes single weights, or another teacher",
        ) from error


def _groups(
    graph: "DependencyGraph", names: dict[nn.Module, str], classes: nn.Module
) -> Iterator[list[LayerChannels]]:
    with _following():  # Indices are mapped between layers only here.
        groups = [*graph.get_all_groups(ignored_layers=[classes])]
    for group in groups:
        parts = []
        for item in group:
            layer, handler = item.dep.target.module, item.dep.handler
            if layer not in names or not item.idxs:
                continue  # Operations without weights, e.g. an addition or a concatenation.
            outputs = graph.is_out_channel_pruning_fn(handler)
            parts.append(LayerChannels(names[layer], outputs, tuple(item.idxs), tuple(item.root_idxs)))
        if all(channel is not None for part in parts for channel in part.channels):
            yield parts


def _grouped(model: nn.Module, parts: list[LayerChannels]) -> bool:
    layers = (model.get_submodule(part.layer) for part in parts)
    convolutions = (layer for layer in layers if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d))
    return any(c.groups > 1 and not c.groups == c.in_channels == c.out_channels for c in convolutions)
