"""One round of pruning: score weights or channels, and select the lowest."""

from typing import Any

from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning.channels.channel_selection import prune_channels
from pdsearch.pruning.channels.dependencies import Channels
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import every_weight, prunable
from pdsearch.pruning.registry import Batches, PruningMethod
from pdsearch.pruning.select import select

__all__ = ["prune"]


def prune(
    model: nn.Module,
    *,
    method: PruningMethod,
    params: Any,
    batches: Batches,
    generator: Generator,
    sparsity: float,
    scope: str = "global",
    within: Mask | None = None,
    exclude: tuple[str, ...] = (),
    whole: nn.Module | None = None,
    channels: Channels | None = None,
    weights: str = "layers",
) -> Mask:
    """Return the mask of one round of pruning; the model is not changed (see `Mask.apply` and `shrink`).

    Args:
        model: The network; what earlier rounds pruned is zero, or, if structured, removed.
        method: A registered method.
        params: An instance of the method's parameter dataclass.
        batches: Images and labels; if the method needs no data, only the shape of an image is used, and only if
            it is structured.
        generator: The only source of randomness.
        sparsity: Cumulative share to remove, in [0, 1): of weights, or, if structured, of channels. A method that
            removes nothing keeps all.
        scope: "global" or "layer".
        within: The mask after the rounds before this one; what it removed stays removed.
        exclude: Glob patterns of parameter names that are not pruned.
        whole: If structured: the network with all its channels, if earlier rounds removed some; its values are
            not used.
        weights: If not structured: "layers", the weights of convolutions and linear layers, or all "matrices".
        channels: If structured: what `find_channels` found in that network; None means it is to be found.

    Raises:
        ConfigError: sparsity, scope or exclude is invalid, or the network cannot be traced.
        TrialError: A score is missing, has a wrong shape or is not finite.
    """
    sparsity = sparsity if method.removes else 0.0
    if method.structured:
        return prune_channels(
            model,
            whole=whole or model,
            method=method,
            params=params,
            batches=batches,
            generator=generator,
            sparsity=sparsity,
            scope=scope,
            within=within,
            exclude=exclude,
            channels=channels,
        )
    with every_weight(weights == "matrices"):
        scores = method.score(model, batches if method.needs_data else (), generator, params)
        removable = prunable(model, exclude)
    checked = {name: _checked(name, scores.get(name), weight, method) for name, weight in removable.items()}
    return select(checked, sparsity=sparsity, scope=scope, within=within)


def _checked(name: str, score: Tensor | None, weight: Tensor, method: PruningMethod) -> Tensor:
    if score is None or score.shape != weight.shape:
        got = "none" if score is None else tuple(score.shape)
        raise TrialError(f"{method.name} scores {name} with shape {got}, not {tuple(weight.shape)}")
    return score
