"""How is a network pruned once? Score it, select the lowest scores, widen channels to weights."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import prunable
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
) -> Mask:
    """Return the mask of one round of pruning; the model stays as it is (see `Mask.apply`).

    Args:
        model: The network, weights pruned in earlier rounds at zero.
        method: A registered method.
        params: An instance of the method's parameter dataclass.
        batches: Images and labels; ignored unless the method needs data.
        generator: The only source of randomness.
        sparsity: Cumulative share to remove, in [0, 1): of weights, or, if structured, of channels.
        scope: "global" or "layer".
        within: The mask after the rounds before this one; what it removed stays removed.
        exclude: Glob patterns of parameter names that stay whole.

    Raises:
        ConfigError: sparsity, scope or exclude is not legal.
        TrialError: A score is missing, misshapen or not finite.
    """
    weights = prunable(model, exclude)
    scores = method.score(model, batches if method.needs_data else (), generator, params)
    if not method.structured:
        scores = {
            name: _checked(name, scores.get(name), weight.shape, method) for name, weight in weights.items()
        }
        return select(scores, sparsity=sparsity, scope=scope, within=within)
    classes = list(prunable(model))[-1]  # the channels of the last layer
    scores = {
        name: _checked(name, scores[name], weight.shape[:1], method)
        for name, weight in weights.items()
        if name in scores and name != classes
    }
    if not scores:
        raise TrialError(f"{method.name} finds no channels to prune in this model")
    channels = None if within is None else _channels(within, scores)
    kept = select(_protected(scores, channels), sparsity=sparsity, scope=scope, within=channels)
    return _widened(kept, weights)


def _checked(name: str, score: Tensor | None, shape: torch.Size, method: PruningMethod) -> Tensor:
    if score is None or score.shape != shape:
        got = "none" if score is None else tuple(score.shape)
        raise TrialError(f"{method.name} scores {name} with shape {got}, not {tuple(shape)}")
    return score


def _channels(mask: Mask, scores: Mapping[str, Tensor]) -> Mask:
    return Mask({name: mask[name].flatten(1).any(dim=1) for name in scores})


def _protected(scores: Mapping[str, Tensor], within: Mask | None) -> dict[str, Tensor]:
    """Lift the best channel of each layer above all others: an emptied layer would cut the network in two."""
    top = max(float(score.max()) for score in scores.values())
    lifted = {}
    for name, score in scores.items():
        left = score if within is None else score.masked_fill(~within[name], -torch.inf)
        lifted[name] = score.index_fill(0, left.argmax(), top + abs(top) + 1.0)
    return lifted


def _widened(kept: Mask, weights: Mapping[str, Tensor]) -> Mask:
    """One boolean a channel, spread over the channel's weights; parameters that were not scored are kept."""
    masks = dict(Mask.full(weights))
    for name, channels in kept.items():
        masks[name] &= channels.view(-1, *[1] * (masks[name].dim() - 1))
    return Mask(masks)
