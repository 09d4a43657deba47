"""Narrower forms of any network: the widths that a mask implies, and a network built with fewer channels."""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models import copied, with_plain_weights
from pdsearch.models.width_solver import Growth, solve
from pdsearch.pruning.channels.dependencies import Tie
from pdsearch.pruning.channels.finding import find_channels
from pdsearch.pruning.channels.remove import shrink
from pdsearch.pruning.prunable import every_weight, makers, prunable

Widths: TypeAlias = Mapping[str, int]
"""The number of channels of each tie, by its name; ties not in it are whole."""


def implied_widths(model: nn.Module, image: Tensor, mask: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the widths of ties that lose channels, so that layers are about as large as what a mask leaves of them.

    A tie's width is solved for, in network order and given the widths before it, so that the layers that it is the last
    to determine have together as many weights as remain in them; from 1 to all of its channels. Where the network would
    miss the remaining weights by more than 1 % in all, widths are rounded so that later ones compensate for earlier.

    Args:
        model: The unpruned network; not changed, its values are not used.
        image: a batch of one input, of any values: the network is traced with it.
        mask: Boolean masks of its prunable weights, True = kept; weights without a mask all remain.

    Raises:
        ConfigError: Channels of the network cannot be removed, or it has none that can.
    """
    with every_weight():  # Those of attention and recurrent layers too, that the method left as they are.
        ties, weights = find_channels(model, image).ties, prunable(model)
    remaining = {name: int(mask[name].sum()) if name in mask else w.numel() for name, w in weights.items()}
    widths = zip(ties, solve(_growth(ties, weights), remaining), strict=True)
    return {tie.name: width for tie, width in widths if width < tie.size}


def _growth(ties: tuple[Tie, ...], weights: Mapping[str, Tensor]) -> Growth:
    """Return how the prunable weights grow with the ties' widths."""
    slopes: list[dict[str, tuple[float, ...]]] = []
    for tie in ties:
        grown: dict[str, list[float]] = {}
        for part in tie.parts:
            if part.name in weights:
                axes = grown.setdefault(part.name, [0.0] * weights[part.name].dim())
                axes[part.axis] += len(part.positions) / tie.size
        slopes.append({name: tuple(axes) for name, axes in grown.items()})
    start = tuple(tie.size for tie in ties)
    before = {name: tuple(weight.shape) for name, weight in weights.items()}
    return Growth(start, before, [(place,) for place in range(len(ties))], slopes, bounded=True)


def _strongest(model: nn.Module, image: Tensor, widths: Widths) -> dict[str, tuple[int, ...]]:
    weights, kept = makers(model), {}
    for tie in find_channels(model, image).ties:
        norms = torch.zeros(tie.size, dtype=torch.float64)
        for part in tie.parts:
            if part.axis == 0 and part.name in weights:
                squares = weights[part.name].detach().double().cpu().square().flatten(1).sum(dim=1)
                norms.index_add_(0, torch.tensor(part.channels), squares[list(part.positions)])
        best = norms.argsort(descending=True, stable=True)[: widths.get(tie.name, tie.size)]
        kept[tie.name] = tuple(sorted(best.tolist()))
    return kept


def narrow(model: nn.Module, image: Tensor, widths: Widths) -> None:
    """Reduce a freshly built network in place to some widths, as if it had been initialised with them.

    The first channels of each tie are kept, with the values that the builder drew. Each weight of a convolution or
    linear layer that loses inputs is scaled by sqrt(inputs before / inputs now), so that the outputs keep the variance
    they have in the whole network: for the usual initialisations by fan-in this is the layer's own initialisation at
    that width.

    Args:
        model: The network as built.
        image: a batch of one input, of any values: the network is traced with it.
        widths: Numbers of channels, from 1 to all of the tie.

    Raises:
        ConfigError: There is no such tie, it has fewer channels, or the network cannot be traced.
    """
    with_plain_weights(model)
    channels = find_channels(model, image)
    whole = {tie.name: tie.size for tie in channels.ties}
    for name, width in widths.items():
        if not 1 <= width <= whole.get(name, 0):
            has = f"has {whole[name]} channels" if name in whole else "has no channels that can be removed"
            known = ", ".join(f"{tie} {size}" for tie, size in whole.items())
            what = f"{name} {has}, {width} were asked for"
            raise ConfigError(what, where="student.widths", hint=f"from 1 to: {known or 'none'}")
    inputs = {name: weight[0].numel() for name, weight in prunable(model).items()}
    shrink(model, channels, kept={name: tuple(range(width)) for name, width in widths.items()})
    with torch.no_grad():
        for name, weight in prunable(model).items():
            if weight[0].numel() != inputs[name]:
                weight.mul_((inputs[name] / weight[0].numel()) ** 0.5)


def kept_part(model: nn.Module, image: Tensor, widths: Widths) -> nn.Module:
    """Return a copy of a trained network with some of its channels, their values unchanged.

    Those are kept whose producing weights have the largest L2 norm. Removed single weights are zero, so that a channel
    that lost many of its weights is weak.

    Args:
        model: The network, its removed weights set to zero; not changed.
        image: (1, C, H, W), on its device, of any values.
        widths: How many channels to keep.
    """
    part = copied(model)
    shrink(part, find_channels(part, image), kept=_strongest(part, image, widths))
    return part
