"""Channels by the L1 or the L2 norm of the weights that produce them."""

from collections.abc import Callable

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
    return _over_mean(model, lambda rows: rows.abs().sum(dim=1))


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
    return _over_mean(model, lambda rows: rows.norm(dim=1))


def _over_mean(model: nn.Module, norm: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    norms = {name: norm(weight.detach().flatten(1)) for name, weight in prunable(model).items()}
    return {name: norm / norm.mean().clamp_min(TINY) for name, norm in norms.items()}
