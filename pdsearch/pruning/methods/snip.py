"""SNIP: connection sensitivity, before training."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.gradients import averaged, loss_gradients, probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("snip", needs_data=True)
def score_snip(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score weights by |w * dL/dw|, L the cross-entropy over all images given.

    dL/dw * w is the derivative of L by a factor on the connection, at 1. Batch normalisation uses each
    batch's own statistics. On rounds of a schedule this is iterative SNIP; on a trained network its gradients
    are small.

    When:
        At initialisation, before a teacher's only training. On a trained network gradients nearly cancel;
        taylor and fisher see more there.

    Cost:
        Forward and back over 512 training images a round.

    Source:
        Lee, Ajanthan, Torr, "SNIP: single-shot network pruning based on connection sensitivity", ICLR 2019,
        arXiv 1810.02340, equations 3 to 5.
    """
    twin = probe(model, batch_statistics=True)
    weights, sums = prunable(twin), averaged(loss_gradients(twin, batches))
    return {name: (weights[name].detach() * total).abs() for name, total in sums.items()}
