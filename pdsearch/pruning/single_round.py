"""One round of pruning: score weights or channels, and select the lowest."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning.allocation import sensitivity
from pdsearch.pruning.channels.channel_selection import prune_channels
from pdsearch.pruning.channels.dependencies import Channels
from pdsearch.pruning.gradients import mean_loss, probe
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import every_weight, prunable
from pdsearch.pruning.registry import Batches, PruningMethod
from pdsearch.pruning.select import removed_from, select


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
    round_to: int = 1,
    validation: Batches = (),
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
        scope: One of SCOPES.
        within: The mask after the rounds before this one; what it removed stays removed.
        exclude: Glob patterns of parameter names that are not pruned.
        whole: If structured: the network with all its channels, if earlier rounds removed some; its values are
            not used.
        weights: If not structured: "layers", the weights of convolutions and linear layers, or all "matrices".
        round_to: If structured: as of `prune_channels`.
        validation: Images and labels on which sensitivity is measured, where that is the scope.
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
            round_to=round_to,
            validation=validation,
        )
    with every_weight(weights == "matrices"):
        scores = method.score(model, batches if method.needs_data else (), generator, params)
        removable = prunable(model, exclude)
    checked = {name: _checked(name, scores.get(name), weight, method) for name, weight in removable.items()}
    shares = None
    if scope == "sensitivity" and sparsity:
        shares = _measured(model, checked, sparsity, within, validation)
    return select(
        checked, sparsity=sparsity, scope=scope if sparsity else "global", within=within, shares=shares
    )


def _measured(
    model: nn.Module, scores: Mapping[str, Tensor], sparsity: float, within: Mask | None, validation: Batches
) -> dict[str, float]:
    """Return the shares that sensitivity gives: of a copy one layer at a time loses its lowest scores."""
    twin = probe(model)
    weights = dict(twin.named_parameters(remove_duplicate=False))

    def loss(name: str, share: float) -> float:
        weight, part = weights[name], within and Mask({name: within[name]})
        kept = select({name: scores[name]}, sparsity=min(share, 1 - 1e-9), within=part)[name]
        before = weight.detach().clone()
        with torch.no_grad():
            weight.mul_(kept.to(weight.device))
            found = mean_loss(twin, validation)
            weight.copy_(before)
        return found

    sizes = {name: score.numel() for name, score in scores.items()}
    return sensitivity(sizes, sparsity, removed_from(sizes, within), loss)


def _checked(name: str, score: Tensor | None, weight: Tensor, method: PruningMethod) -> Tensor:
    if score is None or score.shape != weight.shape:
        shape = (
            f"scores {name} with shape {tuple(score.shape)}"
            if score is not None
            else f"has no score of {name}"
        )
        hint = "return a dict of tensors, one for each name and weight of pdsearch.prunable(model)"
        raise TrialError(f"{method.name} {shape}, not {tuple(weight.shape)}", hint=hint)
    return score
