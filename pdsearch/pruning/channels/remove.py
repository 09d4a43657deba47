"""Removal of channels from a network; its outputs equal those with the channels set to zero."""

import copy
from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pdsearch.errors import ConfigError
from pdsearch.pruning.channels.dependencies import Tie, find_ties, follow
from pdsearch.pruning.gradients import probe
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import prunable

__all__ = ["Kept", "channel_mask", "check_ties", "kept_channels", "rebuild", "shrink"]

Kept = Mapping[str, tuple[int, ...]]
"""The remaining channels of each tie, by its name: ascending indices in the unpruned network."""

TOLERANCE = 1e-6


def kept_channels(mask: Mask, ties: tuple[Tie, ...]) -> dict[str, tuple[int, ...]]:
    """Return the channels of each tie that a mask of the unpruned network keeps."""
    rows = {tie.name: mask[tie.name].flatten(1).any(dim=1).tolist() for tie in ties}
    named = {tie.name: next(part for part in tie.parts if part.weight == tie.name) for tie in ties}
    return {
        name: tuple(c for at, c in zip(part.positions, part.channels, strict=True) if rows[name][at])
        for name, part in named.items()
    }


def channel_mask(kept: Kept, ties: tuple[Tie, ...], weights: Mapping[str, Tensor]) -> Mask:
    """Return a mask of the unpruned network: False for every weight that produces or reads a removed channel.

    Args:
        kept: Remaining channels; ties not in it keep all.
        ties: Ties of the unpruned network.
        weights: Its prunable weights.
    """
    tensors = dict(Mask.full(weights).to_tensors())
    for tie in ties:
        left = set(kept.get(tie.name, range(tie.size)))
        for part in tie.parts:
            if part.weight not in tensors:
                continue  # A normalisation.
            pairs = zip(part.positions, part.channels, strict=True)
            gone = torch.tensor([at for at, c in pairs if c not in left], dtype=torch.int64)
            tensors[part.weight].index_fill_(0 if part.outputs else 1, gone, False)
    return Mask(tensors)


def shrink(model: nn.Module, image: Tensor, *, kept: Kept, before: Kept | None = None) -> None:
    """Remove channels in place from all layers that produce, normalise or read them, by the dependency graph.

    Afterwards the module is in evaluation mode. What is frozen stays frozen.

    Args:
        model: The unpruned network, or one reduced to `before`.
        image: (1, C, H, W), of any values.
        kept: Channels of the unpruned network to keep, some of each tie; ties not in it are unchanged.
        before: The channels the model has; None means all.

    Raises:
        ConfigError: The network cannot be traced.
    """
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    graph = follow(model.requires_grad_(True), image)
    for name, left in kept.items():
        layer = model.get_submodule(name.rpartition(".")[0])
        pruner = graph.get_pruner_of_module(layer)
        there = (before or {}).get(name) or range(pruner.get_out_channels(layer))
        gone = [place for place, channel in enumerate(there) if channel not in set(left)]
        if gone:
            graph.get_pruning_group(layer, pruner.prune_out_channels, gone).prune(record_history=False)
    for parameter, weight in model.named_parameters():  # Those of pruned layers are new.
        weight.requires_grad_(parameter not in frozen)


def rebuild(model: nn.Module, image: Tensor, *, kept: Kept, exclude: tuple[str, ...] = ()) -> Mask:
    """Shrink an unpruned network in place to the channels of an artifact; return the mask of the unpruned network."""
    mask = channel_mask(kept, find_ties(model, image, exclude), prunable(model, exclude))
    shrink(model, image, kept=kept)
    return mask


def check_ties(model: nn.Module, image: Tensor, ties: tuple[Tie, ...]) -> None:
    """Check the ties: removing half of the channels must give the same outputs as setting them to zero.

    The tracer may silently misread unknown operations (padded shortcuts, shuffled channels).

    Args:
        model: The unpruned network; not changed. Its values are not used.
        image: (1, C, H, W), of any values.
        ties: The result of `find_ties`.

    Raises:
        ConfigError: The outputs differ, or the channels cannot be removed.
    """
    small, random = _uneven(model), Generator().manual_seed(0)
    seen = torch.randn(image.shape, generator=random, dtype=torch.float64).to(image.device)
    kept = {tie.name: tuple(range(0, tie.size, 2)) for tie in ties}
    masked = copy.deepcopy(small)
    channel_mask(kept, ties, prunable(masked)).apply(masked)
    try:
        shrink(small, seen, kept=kept)
        with torch.no_grad():
            expected, found = masked(seen), small(seen)
        fits = torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE * float(expected.abs().max()))
    except (RuntimeError, ValueError, IndexError) as error:
        raise _refused(str(error).splitlines()[0]) from error
    if not fits:
        raise _refused("without them it computes something else")


def _uneven(model: nn.Module) -> nn.Module:
    """Return a double-precision copy with random normalisation, so that each channel, zero or not, has an effect."""
    twin, random = probe(model).double(), Generator().manual_seed(1)
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            for value in (*module.parameters(), *module.buffers()):
                if value.is_floating_point():
                    drawn = torch.rand(value.shape, generator=random, dtype=value.dtype)
                    value.data.copy_(0.5 + drawn)
    return twin


def _refused(reason: str) -> ConfigError:
    return ConfigError(
        f"the channels of this network cannot be removed: {reason}",
        where="prune.method",
        hint="use a method that removes single weights, or another teacher",
    )
