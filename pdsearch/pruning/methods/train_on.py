"""The control that removes nothing: tells pruning from the training that goes with it."""

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("train_on", removes=False, at=("trained",))
def score_alike(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Remove nothing: each round keeps all weights and trains on, for as many rounds as the ratio would take.

    A pruned teacher is trained longer than the unpruned one it comes from: its rounds train too. Beside this teacher of
    the same ratio, schedule and recovery, a gain is that of pruning; beside the unpruned one, it may be that of longer
    training.

    When:
        As a control, in every claim that a pruned teacher teaches better.

    Cost:
        No image and no scoring. The recovery epochs of the pruned teacher of that ratio.

    Source:
        The schedule of pruning and fine-tuning as a confounding variable: Blalock, Gonzalez Ortiz, Frankle, Guttag,
        "What is the state of neural network pruning?", MLSys 2020, arXiv 2003.03033.
    """
    return {name: torch.ones_like(weight).detach() for name, weight in prunable(model).items()}
