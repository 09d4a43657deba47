"""Channels by all that goes with them, what makes, normalises and reads them: its norm, or its Taylor terms."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.channels.dependencies import Part
from pdsearch.pruning.channels.finding import find_channels
from pdsearch.pruning.gradients import averaged, loss_gradients, probe
from pdsearch.pruning.prunable import makers
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams, parameter

TINY = 1e-12


@dataclass(frozen=True)
class GroupNormParams:
    """Parameters of group_norm."""

    power: int = parameter(2, help="of the absolute weights that are summed", choices=(1, 2))


@pruning_method("group_norm", params=GroupNormParams, needs_data=True, structured=True)
def score_group_norm(
    model: nn.Module, batches: Batches, generator: Generator, params: GroupNormParams
) -> dict[str, Tensor]:
    """Score output channels by the sum of |w|^p of what goes with them, a mean over the layers they tie.

    What goes with a channel are the weights that make it, its normalisation's scale and the weights that read
    it, in all layers that additions tie (a residual stage). Only the shape of the images is read. The mean
    over each tie is 1. torch-pruning's GroupMagnitudeImportance is the same.

    When:
        Where channels are tied, as in residual networks: it weighs all layers of a tie, filter_l1 only those
        that make the channel.

    Cost:
        No image scored. One sort of all channels a round; the dependency graph is traced with one image.

    Source:
        Fang, Ma, Song, Mi, Wang, "DepGraph: towards any structural pruning", CVPR 2023, arXiv 2301.12900,
        section 3.3, without its sparse training.
    """

    def measure(part: Part) -> Tensor:
        weight = model.get_parameter(part.name).detach()
        if weight.dim() == 1:  # A normalisation's scale.
            return weight.abs().pow(params.power)
        return weight.movedim(part.axis, 0).flatten(1).abs().pow(params.power).sum(dim=1)

    return grouped(model, batches[0][0][:1], measure)


@pruning_method("group_taylor", needs_data=True, structured=True)
def score_group_taylor(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score output channels by the sum of |w * dL/dw| of what goes with them, a mean over the layers they tie.

    L is the mean cross-entropy over all images given; batch normalisation uses the running statistics. What
    goes with a channel is as for group_norm, without normalisation, and so is the mean over each tie.
    torch-pruning's GroupTaylorImportance is the same.

    When:
        Where channels are tied and the images are to be asked, as taylor asks them for single weights.

    Cost:
        Forward and back over 512 training images a round; the dependency graph is traced with one image.

    Source:
        Molchanov, Mallya, Tyree, Frosio, Kautz, "Importance estimation for neural network pruning", CVPR
        2019, arXiv 1906.10771, equation 8 without the square; grouped as in Fang, Ma, Song, Mi, Wang,
        "DepGraph: towards any structural pruning", CVPR 2023, arXiv 2301.12900, section 3.3.
    """
    twin = probe(model)
    weights = dict(twin.named_parameters())
    sums = averaged(loss_gradients(twin, batches, weights=weights))
    terms = {name: (weight.detach() * sums[name]).abs() for name, weight in weights.items()}

    def measure(part: Part) -> Tensor | None:
        term = terms.get(part.name)
        if term is None or term.dim() == 1:
            return None  # Another name of a shared weight, or a normalisation's.
        return term.movedim(part.axis, 0).flatten(1).sum(dim=1)

    return grouped(model, batches[0][0][:1], measure)


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
