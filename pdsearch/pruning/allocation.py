"""Shares of removal by layer that meet one in all: by the layers' shapes, or by how much the network needs each."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

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


def counts(
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
