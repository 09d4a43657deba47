"""Random scores: the baseline every other method has to beat."""

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("random")
def score_random(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score weights by uniform draws in [0, 1), from the generator alone.

    When:
        As a control: what another method gains over it at the same ratio is the worth of its scores.

    Cost:
        No image. One draw for each weight and one sort a round.

    Source:
        The random baseline of Frankle, Dziugaite, Roy, Carbin, "Pruning neural networks at initialization:
        why are we missing the mark?", 2021, arXiv 2009.08576, section 3.
    """
    # Drawn on the generator's device, so that scores are the same for a GPU and a CPU.
    return {
        name: torch.rand(weight.shape, generator=generator, device=generator.device).to(weight.device)
        for name, weight in prunable(model).items()
    }
