"""Optimal brain damage: the loss's curvature, the Hessian's diagonal by Fisher information."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.gradients import averaged, loss_gradients, probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import parameter


@dataclass(frozen=True)
class FisherParams:
    """Parameters of fisher."""

    labels: str = parameter(
        "data",
        help="whose labels: the data's (empirical Fisher) or drawn from the model's own predictions",
        choices=("data", "model"),
    )


@pruning_method("fisher", params=FisherParams, needs_data=True, at=("trained",))
def score_fisher(
    model: nn.Module, batches: Batches, generator: Generator, params: FisherParams
) -> dict[str, Tensor]:
    """Score weights by w^2 * F / 2, F the mean of (dL/dw)^2 over images: what a removal costs at a minimum.

    Takes one backward pass per image. Batch normalisation uses the running statistics.

    When:
        On a trained teacher near a minimum of its loss, where first-order terms vanish and curvature is what
        a removal costs.

    Cost:
        Forward and back for 512 training images one at a time: on a GPU many times taylor's.

    Source:
        LeCun, Denker, Solla, "Optimal brain damage", NeurIPS 1989, equation 5; Fisher for the diagonal as in
        Theis, Korshunova, Tejani, Huszar, "Faster gaze prediction with dense networks and Fisher pruning",
        2018, arXiv 1801.05787, equation 9.
    """
    twin = probe(model)
    weights = prunable(twin)
    singles = _singly(twin, batches, generator, params.labels)
    fisher = averaged(loss_gradients(twin, singles), lambda _, gradient: gradient.square())
    return {name: weights[name].detach().square() * diagonal / 2 for name, diagonal in fisher.items()}


@torch.no_grad()
def _singly(twin: nn.Module, batches: Batches, generator: Generator, labels: str) -> Batches:
    """Yield batches of one image; labels from the data or drawn from the model."""
    singles: list[tuple[Tensor, Tensor]] = []
    for images, known in batches:
        chosen = known
        if labels == "model":
            shares = torch.softmax(twin(images).float(), dim=1).to(generator.device)
            chosen = torch.multinomial(shares, 1, generator=generator).squeeze(1).to(known.device)
        singles += zip(images.split(1), chosen.split(1), strict=True)
    return singles
