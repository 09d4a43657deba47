"""Selection of the channels to remove: the lowest scores, averaged over coupled layers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.models import copied
from pdsearch.pruning.allocation import sensitivity
from pdsearch.pruning.channels.dependencies import Channels, Part, Tie
from pdsearch.pruning.channels.finding import find_channels
from pdsearch.pruning.channels.remove import Kept, channel_mask, kept_channels, shrink
from pdsearch.pruning.gradients import mean_loss, probe
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import every_weight, makers, prunable
from pdsearch.pruning.registry import Batches, PruningMethod
from pdsearch.pruning.select import removed_from, select


def prune_channels(
    model: nn.Module,
    *,
    whole: nn.Module,
    method: PruningMethod,
    params: Any,
    batches: Batches,
    generator: Generator,
    sparsity: float,
    scope: str = "global",
    within: Mask | None = None,
    exclude: tuple[str, ...] = (),
    channels: Channels | None = None,
    round_to: int = 1,
    validation: Batches = (),
) -> Mask:
    """Return the mask, over the unpruned network, of one round of channel pruning; the model is not changed.

    A channel that several layers share counts once, as does a head of attention, and its score is the mean of theirs.
    The number of channels is exact; the number of removed weights depends on the layers that read them, and is the
    mask's sparsity. Each tie keeps its best channel, so that no layer is emptied.

    Args:
        model: The current network, without the channels removed in earlier rounds (see `shrink`).
        whole: The same network with all its channels; its values are not used.
        method: A registered structured method.
        params: An instance of the method's parameter dataclass.
        batches: Images and labels; the first image's shape is read where the method needs no data.
        generator: The only source of randomness.
        sparsity: Cumulative share of the channels to remove, in [0, 1).
        scope: "global"; "layer": the share holds in each tie; "sensitivity": it is measured for each tie.
        within: The mask after the rounds before this one.
        exclude: Glob patterns of parameter names that are not pruned.
        channels: What `find_channels` found in the unpruned network; None means it is to be found.
        round_to: The outputs that are left of each layer are a multiple of this, or all that there were: the number of
            channels is rounded up. A head of attention has as many outputs as it is wide.
        validation: Images and labels on which sensitivity is measured, where that is the scope.

    Raises:
        ConfigError: Nothing can be removed from the network, or sparsity, scope or exclude is invalid.
        TrialError: There is no image or no channel, or a score has a wrong shape or is not finite.
    """
    if not batches:
        raise TrialError(f"{method.name} needs the shape of an image and was given none")
    image = batches[0][0][:1]
    channels = channels or find_channels(whole, image, exclude)
    ties = channels.ties
    with every_weight():
        weights = prunable(whole, exclude)
        scores = method.score(model, batches if method.needs_data else (), generator, params)
    left = within or Mask.full(weights)
    scored = _by_tie(ties, _on_whole(scores, left, method))
    if not scored:
        raise TrialError(f"{method.name} finds no channels to prune in this model")
    before = kept_channels(left, ties)
    there = Mask({name: _flags(before[name], score) for name, score in scored.items()})
    best = {name: _best(score, there[name]) for name, score in scored.items()}
    lifted, shares = _lifted(scored, best), None
    if scope == "sensitivity" and sparsity:
        shares = _measured(model, channels, lifted, sparsity, there, before, validation)
    chosen = select(
        lifted, sparsity=sparsity, scope=scope if sparsity else "global", within=there, shares=shares
    )
    kept = {name: {*flags.nonzero().flatten().tolist(), best[name]} for name, flags in chosen.items()}
    if round_to > 1:
        kept = {
            tie.name: _rounded(kept[tie.name], lifted[tie.name], there[tie.name], _unit(tie, round_to))
            for tie in ties
            if tie.name in kept
        }
    return channel_mask({**before, **{name: tuple(sorted(c)) for name, c in kept.items()}}, ties, weights)


def _measured(
    model: nn.Module,
    channels: Channels,
    scores: Mapping[str, Tensor],
    sparsity: float,
    there: Mask,
    before: Kept,
    validation: Batches,
) -> dict[str, float]:
    """Return the shares that sensitivity gives: of a copy one tie at a time loses its lowest channels, but for one."""
    whole = probe(model)

    def loss(name: str, share: float) -> float:
        part = Mask({name: there[name]})
        kept = select({name: scores[name]}, sparsity=min(share, 1 - 1e-9), within=part)[name]
        left = tuple(kept.nonzero().flatten().tolist()) or (int(scores[name].argmax()),)
        twin = copied(whole)
        shrink(twin, channels, kept={name: left}, before=before)
        return mean_loss(twin, validation)

    sizes = {name: score.numel() for name, score in scores.items()}
    return sensitivity(sizes, sparsity, removed_from(sizes, there), loss)


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


TINY = 1e-12


def grouped(model: nn.Module, image: Tensor, measure: Callable[[Part], Tensor | None]) -> dict[str, Tensor]:
    """Return scores of output channels: the mean over the parts of their tie, divided by the mean of the tie.

    All layers that produce the channels of a tie have the same scores. The division makes ties of different
    size comparable when the scope is global.

    Args:
        model: Any network; not changed.
        image: (1, C, H, W), of any values.
        measure: Returns the importance of a part, one number per position of its axis; None skips the part.
    """
    found: dict[str, Tensor] = {}
    made = makers(model)
    for tie in find_channels(model, image).ties:
        total, counted = torch.zeros(tie.size, device=image.device), 0
        for part in tie.parts:
            weight = part.name in made or part.name.rpartition(".")[2] == "weight"
            worth = measure(part) if weight else None
            if worth is not None:
                values = worth[list(part.positions)].to(total.dtype)
                total.index_add_(0, torch.tensor(part.channels, device=values.device), values)
                counted += 1
        score = total / max(1, counted)
        score = score / score.mean().clamp_min(TINY)
        for part in tie.parts:
            if part.axis == 0 and part.name in made:
                scores = found.setdefault(part.name, score.new_zeros(len(made[part.name])))
                scores[list(part.positions)] = score[list(part.channels)]
    return found
