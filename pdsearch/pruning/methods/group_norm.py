"""Channels by the norm of all weights that go with them: those that make, normalise and read them."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from pdsearch.pruning.channels.dependencies import Part
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.pruning.single_round import grouped
from pdsearch.registry import parameter


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
