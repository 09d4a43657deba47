"""First-order Taylor: the squared first term of the loss's change if a weight were gone."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.gradients import averaged, loss_gradients, probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("taylor", needs_data=True)
def score_taylor(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score weights by (w * dL/dw)^2, averaged over the batches, each weight a group of its own.

    Unlike snip it squares before it averages: a weight that matters to many batches in opposite directions is
    kept. Batch normalisation uses the running statistics, as in use.

    When:
        On a trained teacher, instead of magnitude: it asks the images, not the weights' sizes alone.

    Cost:
        Forward and back over 512 training images a round.

    Source:
        Molchanov, Mallya, Tyree, Frosio, Kautz, "Importance estimation for neural network pruning", CVPR
        2019, arXiv 1906.10771, equation 8.
    """
    twin = probe(model)
    weights = prunable(twin)
    return averaged(
        loss_gradients(twin, batches), lambda name, gradient: (weights[name].detach() * gradient).square()
    )
