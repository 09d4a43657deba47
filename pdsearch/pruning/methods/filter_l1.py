"""How much does a whole channel weigh? The mean absolute value of the weights that produce it."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams

__all__ = ["score_filter_l1"]


@pruning_method("filter_l1", structured=True)
def score_filter_l1(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score output channels by the mean of |w| over the channel's weights.

    Within a layer this is the paper's order, by the sum; the mean makes layers of different fan-in comparable
    when the scope is global.

    Source:
        Li, Kadav, Durdanovic, Samet, Graf, "Pruning filters for efficient ConvNets", ICLR 2017, arXiv
        1608.08710, section 3.1.
    """
    return {name: weight.detach().flatten(1).abs().mean(dim=1) for name, weight in prunable(model).items()}
