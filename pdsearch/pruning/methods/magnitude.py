"""Weights by their absolute value."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("magnitude")
def score_magnitude(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score weights by their absolute values: |w|.

    When:
        The first to try, and the paper's choice: a trained teacher, geometric rounds, lr_rewind. At
        initialisation it knows nothing but the draw.

    Cost:
        No image. One sort of all weights a round.

    Source:
        Han, Pool, Tran, Dally, "Learning both weights and connections for efficient neural networks", 2015,
        arXiv 1506.02626, section 3.
    """
    return {name: weight.detach().abs() for name, weight in prunable(model).items()}
