"""Selection of an exact number of the lowest scores; the only place where counts are rounded and ties broken."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from pdsearch.errors import ConfigError, TrialError
from pdsearch.pruning.allocation import counts, erk
from pdsearch.pruning.mask import Mask

SCOPES = ("global", "layer", "erk", "sensitivity")
"""Scores compete across layers, or in each: with one share for all, one by its shape, one that is measured."""


def removed_count(total: int, sparsity: float) -> int:
    """Return how many of `total` weights a sparsity removes: sparsity * total, rounded half up."""
    return min(total, math.floor(sparsity * total + 0.5))


def select(
    scores: Mapping[str, Tensor],
    *,
    sparsity: float,
    scope: str = "global",
    within: Mask | None = None,
    shares: Mapping[str, float] | None = None,
) -> Mask:
    """Return the mask of the highest scores; exactly `removed_count` weights are removed, earlier rounds included.

    Weights that are already pruned stay pruned, and count. Of equal scores the one with the lower flat index
    (in the order of the scores) is removed first, so that the number is exact and masks of one set of scores nest.

    Args:
        scores: By parameter name; higher = keep. Any floating dtype, any device.
        sparsity: Cumulative share of the scored weights to remove, in [0, 1).
        scope: "global": scores compete across parameters; "layer": the share holds in each parameter; "erk": each
            parameter has a share by its shape; "sensitivity": it has one of `shares`. The last two meet the sparsity in
            all, and leave each parameter a weight.
        within: The mask of the rounds so far, of the scores' names and shapes.
        shares: To remove of each parameter.

    Raises:
        ConfigError: sparsity or scope is invalid.
        TrialError: A score is NaN or infinite.
    """
    if not 0 <= sparsity < 1:
        raise ConfigError(f"sparsity must be in [0, 1), got {sparsity}")
    for name, score in scores.items():
        if not bool(torch.isfinite(score).all()):
            raise TrialError(
                f"scores of {name} are not finite", hint="the weights diverged, or the method overflows"
            )
    sizes = {name: score.numel() for name, score in scores.items()}
    total = removed_count(sum(sizes.values()), sparsity)
    if scope == "global":
        return Mask(_keep(scores, total, within))
    if scope == "layer":
        removed = {name: removed_count(size, sparsity) for name, size in sizes.items()}
    elif scope in SCOPES:
        if scope == "erk":
            shares = erk({name: tuple(score.shape) for name, score in scores.items()}, sparsity)
        removed = counts(shares or {}, sizes, total, removed_from(sizes, within))
    else:
        raise ConfigError(f"unknown prune.scope {scope!r}", hint=f"known: {', '.join(SCOPES)}")
    return Mask({name: _keep({name: scores[name]}, removed[name], within)[name] for name in scores})


def removed_from(sizes: Iterable[str], within: Mask | None) -> dict[str, int]:
    """Return how many weights of each parameter the rounds so far removed."""
    return {name: 0 if within is None else int((~within[name]).sum()) for name in sizes}


def _keep(scores: Mapping[str, Tensor], removed: int, within: Mask | None) -> dict[str, Tensor]:
    flat = torch.cat(
        [_ranked(score, within[name] if within is not None else None) for name, score in scores.items()]
    )
    gone = int(torch.isneginf(flat).sum())
    parts = torch.split(_highest(flat, max(removed, gone)), [score.numel() for score in scores.values()])
    return {
        name: part.view(score.shape).to(score.device)
        for (name, score), part in zip(scores.items(), parts, strict=True)
    }


def _highest(flat: Tensor, removed: int) -> Tensor:
    """True for all but the `removed` lowest; uses a threshold and its ties instead of sorting millions of scores."""
    if removed == 0:
        return torch.ones_like(flat, dtype=torch.bool)
    threshold = flat.kthvalue(removed).values
    keep = flat >= threshold
    tied = (flat == threshold).nonzero().squeeze(1)
    keep[tied[: removed - int((~keep).sum())]] = False
    return keep


def _ranked(score: Tensor, kept: Tensor | None) -> Tensor:
    """Scores as one flat CPU tensor, equal on every device; -inf for removed weights, so that they stay removed."""
    row = score.detach().reshape(-1).cpu()
    row = row if row.dtype == torch.float64 else row.float()
    return row if kept is None else row.masked_fill(~kept.reshape(-1).cpu(), -math.inf)
