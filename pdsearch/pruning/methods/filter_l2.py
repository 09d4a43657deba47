"""Channels by the L2 norm of the weights that produce them."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams

TINY = 1e-12


@pruning_method("filter_l2", structured=True)
def score_filter_l2(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score output channels by |w|, the L2 norm of their weights, over the layer's mean.

    Within a layer this is the paper's order; the mean makes layers of different fan-in comparable when the
    scope is global.

    When:
        As filter_l1; a few large weights count for more.

    Cost:
        No image scored. One sort of all channels a round; the dependency graph is traced with one image.

    Source:
        He, Kang, Dong, Fu, Yang, "Soft filter pruning for accelerating deep convolutional neural networks",
        IJCAI 2018, arXiv 1808.06866, section 3.2, with p = 2.
    """
    norms = {name: weight.detach().flatten(1).norm(dim=1) for name, weight in prunable(model).items()}
    return {name: norm / norm.mean().clamp_min(TINY) for name, norm in norms.items()}
