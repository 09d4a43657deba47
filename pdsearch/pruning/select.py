"""Selection of an exact number of the lowest scores, and how many go of each layer.

Counts are rounded and ties broken here alone. The layers' shares are equal, by their shapes, or by how
much the network needs each.
"""

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pdsearch.errors import ConfigError, TrialError
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
        removed = weights_to_remove(shares or {}, sizes, total, removed_from(sizes, within))
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


LEVELS = (0.25, 0.5, 0.75, 0.9, 0.97, 1.0)
"""Shares of a layer at which the loss is measured; between them it is taken to be linear."""

Floats = NDArray[np.float64]


def erk(shapes: Mapping[str, tuple[int, ...]], sparsity: float) -> dict[str, float]:
    """Return shares by Erdős-Rényi-Kernel: a layer's density is in proportion to sum(shape) / prod(shape), at most 1.

    Args:
        shapes: Of the prunable weights, by name.
        sparsity: Share to remove of all of them, in [0, 1).

    Source:
        Evci, Gale, Menick, Castro, Elsen, "Rigging the lottery: making all tickets winners", ICML 2020, arXiv
        1911.11134, section 3, and `get_sparsities_erdos_renyi` of its authors' code.
    """
    sizes = np.array([math.prod(shape) for shape in shapes.values()], dtype=np.float64)
    raw = np.array([sum(shape) for shape in shapes.values()], dtype=np.float64) / sizes
    dense, scale = np.zeros(len(sizes), dtype=bool), 0.0
    while not dense.all():
        left = (1 - sparsity) * sizes.sum() - sizes[dense].sum()
        scale = left / (raw * sizes)[~dense].sum()
        over = ~dense & (scale * raw > 1)
        if not over.any():
            break
        dense |= over & (raw == raw[~dense].max())
    return dict(zip(shapes, np.where(dense, 0.0, 1 - scale * raw).tolist(), strict=True))


def sensitivity(
    sizes: Mapping[str, int], sparsity: float, gone: Mapping[str, int], loss: Callable[[str, float], float]
) -> dict[str, float]:
    """Return shares with which each layer alone costs the network as much.

    Each layer in turn loses LEVELS of its weights, all others staying as they are; what that adds to the loss, not
    falling as the share grows, is its curve. All layers get the largest share that costs no more than one bound, and
    the bound is that with which the shares meet the sparsity.

    Args:
        sizes: Number of weights (or channels) by layer.
        sparsity: Share to remove in all, earlier rounds included, in [0, 1).
        gone: Those that earlier rounds removed.
        loss: loss(layer, share): of the network whose layer has lost that share in all; at the share gone, its own.

    Source:
        The curves, without training: Han and others, NeurIPS 2015, arXiv 1506.02626, section 5; on validation images:
        Li and others, ICLR 2017, arXiv 1608.08710, section 3.2. Their authors chose the shares by hand; one bound for
        all layers is our rule.
    """
    curves = {name: _curve(name, gone[name] / size, loss) for name, size in sizes.items()}
    weights = np.array([*sizes.values()], dtype=np.float64)
    wanted = sparsity * weights.sum()

    def shares(bound: float) -> Floats:
        return np.array([_largest(at, costs, bound) for at, costs in curves.values()])

    low, high = -1.0, max(float(costs[-1]) for _, costs in curves.values())
    for _ in range(60):
        middle = (low + high) / 2
        if shares(middle) @ weights < wanted:
            low = middle
        else:
            high = middle
    less, more = shares(low), shares(high)
    step = (more - less) @ weights
    part = min(1.0, max(0.0, (wanted - less @ weights) / step)) if step else 0.0
    return dict(zip(sizes, (less + part * (more - less)).tolist(), strict=True))


def _curve(name: str, gone: float, loss: Callable[[str, float], float]) -> tuple[Floats, Floats]:
    """Return shares, those gone first, and what each costs."""
    at = [gone, *(level for level in LEVELS if level > gone)]
    losses = np.array([loss(name, share) for share in at])
    costs = np.nan_to_num(losses - losses[0], nan=_MOST, posinf=_MOST, neginf=0.0).clip(0, _MOST)
    return np.array(at), np.maximum.accumulate(costs)


_MOST = 1e6
"""What a network costs whose outputs are no numbers."""


def _largest(at: Floats, costs: Floats, bound: float) -> float:
    """Return the largest share that costs no more than a bound."""
    place = int(np.searchsorted(costs, bound, side="right"))
    if place == 0:
        return float(at[0])
    if place == len(at):
        return float(at[-1])
    rise = (bound - costs[place - 1]) / (costs[place] - costs[place - 1])
    return float(at[place - 1] + rise * (at[place] - at[place - 1]))


def weights_to_remove(
    shares: Mapping[str, float], sizes: Mapping[str, int], total: int, gone: Mapping[str, int]
) -> dict[str, int]:
    """Return how many weights each layer loses: `total` in all, unless that would empty a layer.

    Args:
        shares: To remove of each layer, in [0, 1].
        sizes: Number of weights by layer.
        total: Number to remove in all.
        gone: Those that are removed already, and stay so.
    """
    size, least = (np.array([part[name] for name in shares], dtype=np.int64) for part in (sizes, gone))
    most = np.maximum(least, size - 1)
    wanted = np.array([*shares.values()]) * size
    found = np.floor(wanted).astype(np.int64).clip(least, most)
    while (left := total - int(found.sum())) != 0:
        step = 1 if left > 0 else -1
        room = np.flatnonzero(found < most if step > 0 else found > least)
        if not len(room):
            break
        nearest = room[np.argsort(-step * (wanted - found)[room], kind="stable")]
        found[nearest[: abs(left)]] += step
    return dict(zip(shares, found.tolist(), strict=True))
