"""Channels by first-order Taylor terms of all that goes with them."""

from torch import Generator, Tensor, nn

from pdsearch.pruning.channels.dependencies import Part
from pdsearch.pruning.gradients import averaged, loss_gradients, probe
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.pruning.single_round import grouped
from pdsearch.registry import NoParams


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
