"""Channels by the L1 norm of the weights that produce them."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams

TINY = 1e-12


@pruning_method("filter_l1", structured=True)
def score_filter_l1(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score output channels by the sum of |w| of their weights, over the layer's mean.

    Within a layer this is the paper's order; the mean makes layers of different fan-in comparable when the
    scope is global.

    When:
        To begin with where teachers are to become smaller and faster, not only sparser.

    Cost:
        No image scored. One sort of all channels a round; the dependency graph is traced with one image.

    Source:
        Li, Kadav, Durdanovic, Samet, Graf, "Pruning filters for efficient ConvNets", ICLR 2017, arXiv
        1608.08710, section 3.1.
    """
    norms = {name: weight.detach().flatten(1).abs().sum(dim=1) for name, weight in prunable(model).items()}
    return {name: norm / norm.mean().clamp_min(TINY) for name, norm in norms.items()}
