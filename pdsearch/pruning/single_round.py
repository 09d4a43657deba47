"""One round of pruning: weights or channels are scored, and the lowest selected.

Channels that several layers share, and heads of attention, count once, by the mean of their scores.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.models import copied
from pdsearch.pruning.channels.dependencies import Channels, Tie
from pdsearch.pruning.channels.finding import find_channels
from pdsearch.pruning.channels.remove import channel_mask, kept_channels, shrink
from pdsearch.pruning.gradients import mean_loss, probe
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import check_held, every_weight, prunable
from pdsearch.pruning.registry import Batches, PruningMethod
from pdsearch.pruning.select import removed_from, select, sensitivity


def prune_once(
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
    """Return the mask, over the unpruned network, of one round; the model is not changed (`Mask.apply`, `shrink`).

    The number of weights or channels is exact. How many weights go with a channel depends on the layers that read it,
    and is the mask's sparsity; each tie keeps its best channel, so that no layer is emptied.

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
        channels: If structured: what `find_channels` found in that network; None means it is to be found.
        weights: If not structured: "layers", the weights of convolutions and linear layers, or all "matrices".
        round_to: If structured: the outputs that are left of each layer are a multiple of this, or all that there
            were: the number of channels is rounded up. A head of attention has as many outputs as it is wide.
        validation: Images and labels on which sensitivity is measured, where that is the scope.

    Raises:
        ConfigError: sparsity, scope or exclude is invalid, or the network cannot be traced.
        TrialError: There is no image or no channel, or a score is missing, has a wrong shape or is not finite.
    """
    check_held(model, () if method.structured else exclude)
    sparsity, whole = sparsity if method.removes else 0.0, whole or model
    if not batches and (method.structured or method.needs_data):
        raise TrialError(f"{method.name} needs images and was given none")
    if method.structured:
        channels = channels or find_channels(whole, batches[0][0][:1], exclude)
    with every_weight(method.structured or weights == "matrices"):
        removable = prunable(whole, exclude)
        # Of a copy: a method of one's own may leave weights, statistics or the mode of a network as it used them.
        scores = method.score(copied(model), batches if method.needs_data else (), generator, params)

    def chosen(scores: Mapping[str, Tensor], within: Mask | None, lacking: Lacking) -> Mask:
        shares = None
        if scope == "sensitivity" and sparsity:
            shares = _sensitivity(scores, sparsity, within, lacking, validation)
        narrowed = scope if sparsity else "global"
        return select(scores, sparsity=sparsity, scope=narrowed, within=within, shares=shares)

    if channels is not None and method.structured:
        left = within or Mask.full(removable)
        by_tie = _by_tie(channels.ties, _on_whole(scores, left, method))
        if not by_tie:
            raise TrialError(f"{method.name} finds no channels to prune in this model")
        return _of_channels(model, channels, by_tie, left, removable, round_to, chosen)
    checked = {name: _checked(name, scores.get(name), weight, method) for name, weight in removable.items()}
    return chosen(checked, within, _without_weights(model))


Lacking = Callable[[str, Tensor], nn.Module]
"""lacking(layer or tie, which of it are kept) -> a copy of the network without the others."""


def _sensitivity(
    scores: Mapping[str, Tensor], sparsity: float, within: Mask | None, lacking: Lacking, validation: Batches
) -> dict[str, float]:
    """Return the shares that sensitivity gives: one layer or tie at a time loses its lowest scores."""

    def loss(name: str, share: float) -> float:
        part = within and Mask({name: within[name]})
        kept = select({name: scores[name]}, sparsity=min(share, 1 - 1e-9), within=part)[name]
        return mean_loss(lacking(name, kept), validation)

    sizes = {name: score.numel() for name, score in scores.items()}
    return sensitivity(sizes, sparsity, removed_from(sizes, within), loss)


def _without_weights(model: nn.Module) -> Lacking:
    def lacking(name: str, kept: Tensor) -> nn.Module:
        twin = probe(model)
        weight = dict(twin.named_parameters(remove_duplicate=False))[name]
        with torch.no_grad():
            weight.mul_(kept.to(weight.device))
        return twin

    return lacking


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


def _of_channels(
    model: nn.Module,
    channels: Channels,
    scores: Mapping[str, Tensor],
    left: Mask,
    weights: Mapping[str, Tensor],
    round_to: int,
    chosen: Callable[[Mapping[str, Tensor], Mask, Lacking], Mask],
) -> Mask:
    """Return the mask that removes the channels of the lowest scores, by tie."""
    before = kept_channels(left, channels.ties)
    there = Mask({name: _flags(before[name], score) for name, score in scores.items()})
    best = {name: _best(score, there[name]) for name, score in scores.items()}
    lifted = _lifted(scores, best)

    def lacking(name: str, kept: Tensor) -> nn.Module:
        twin = probe(model)
        some = tuple(kept.nonzero().flatten().tolist()) or (int(lifted[name].argmax()),)
        shrink(twin, channels, kept={name: some}, before=before)
        return twin

    flags = chosen(lifted, there, lacking)
    kept = {name: {*flags[name].nonzero().flatten().tolist(), best[name]} for name in flags}
    if round_to > 1:
        for tie in (tie for tie in channels.ties if tie.name in kept):
            unit = _unit(tie, round_to)
            kept[tie.name] = _rounded(kept[tie.name], lifted[tie.name], there[tie.name], unit)
    after = {**before, **{name: tuple(sorted(places)) for name, places in kept.items()}}
    return channel_mask(after, channels.ties, weights)


def _on_whole(scores: Mapping[str, Tensor], left: Mask, method: PruningMethod) -> dict[str, Tensor]:
    """Map scores of the remaining channels to their positions in the unpruned network; 0 elsewhere."""
    found = {}
    for name, score in scores.items():
        if name not in left:
            continue  # It is excluded, and so is every channel it produces.
        rows = left[name].flatten(1).any(dim=1).cpu()
        if score.shape != (int(rows.sum()),):
            raise TrialError(
                f"{method.name} scores {name} with shape {tuple(score.shape)}, not {(int(rows.sum()),)}"
            )
        found[name] = torch.zeros(len(rows)).masked_scatter(rows, score.detach().float().cpu())
    return found


def _by_tie(ties: tuple[Tie, ...], scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mean score of each channel of a tie over the layers that produce it; ties without scores are left out."""
    found = {}
    for tie in ties:
        total, layers = torch.zeros(tie.size), torch.zeros(tie.size)
        for part in tie.parts:
            if part.axis == 0 and part.name in scores:
                channels = torch.tensor(part.channels)
                total.index_add_(0, channels, scores[part.name][torch.tensor(part.positions)])
                layers.index_add_(0, channels, torch.ones(len(channels)))
        if bool(layers.all()):
            found[tie.name] = total / layers
    return found


def _unit(tie: Tie, multiple: int) -> int:
    """Return the number of channels that make a multiple of outputs in every layer of a tie."""
    outputs = math.gcd(*(len(part.positions) // tie.size for part in tie.parts if part.axis == 0))
    return multiple // math.gcd(multiple, outputs)


def _rounded(kept: set[int], score: Tensor, there: Tensor, unit: int) -> set[int]:
    """Add the best of those that were to go, until their number is a multiple."""
    left = score.masked_fill(~there, -torch.inf).argsort(descending=True).tolist()[: int(there.sum())]
    more = [channel for channel in left if channel not in kept]
    return {*kept, *more[: -len(kept) % unit]}


def _flags(channels: tuple[int, ...], like: Tensor) -> Tensor:
    flags = torch.zeros(len(like), dtype=torch.bool)
    flags[list(channels)] = True
    return flags


def _best(score: Tensor, there: Tensor) -> int:
    return int(score.masked_fill(~there, -torch.inf).argmax())


def _lifted(scores: Mapping[str, Tensor], best: Mapping[str, int]) -> dict[str, Tensor]:
    """Raise the best channel of each tie above all others: an empty layer would disconnect the network."""
    top = max(float(score.max()) for score in scores.values())
    return {
        name: score.index_fill(0, torch.tensor(best[name]), top + abs(top) + 1.0)
        for name, score in scores.items()
    }
