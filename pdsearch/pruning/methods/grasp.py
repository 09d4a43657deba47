"""GraSP: keeps the weights whose removal would weaken the gradient's flow most."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.gradients import averaged, loss_gradients, probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import parameter


@dataclass(frozen=True)
class GraspParams:
    """Parameters of grasp."""

    temperature: float = parameter(200.0, help="divides the logits", low=1.0, high=1000.0, log=True)


@pruning_method("grasp", params=GraspParams, needs_data=True, at=("init",))
def score_grasp(
    model: nn.Module, batches: Batches, generator: Generator, params: GraspParams
) -> dict[str, Tensor]:
    """Score weights by w * (H g): what the gradient's squared norm loses, to first order, without the weight.

    g is the gradient over all images, H the Hessian; the product is the derivative of g . stop(g). The paper
    removes the highest -w * (H g), which are the lowest here. Batch normalisation uses each batch's own
    statistics.

    When:
        At initialisation, before a teacher's only training: it keeps what lets the pruned network train, snip
        what its loss feels now.

    Cost:
        Twice over 512 training images a round, the second time with a gradient of the gradient.

    Source:
        Wang, Zhang, Grosse, "Picking winning tickets before training by preserving gradient flow", ICLR 2020,
        arXiv 2002.07376, equation 8 and algorithm 2; temperature as in the official code.
    """
    twin = probe(model, batch_statistics=True)
    weights = prunable(twin)
    flow = averaged(loss_gradients(twin, batches, temperature=params.temperature))
    scores = {name: torch.zeros_like(total) for name, total in flow.items()}
    for share, gradients in loss_gradients(twin, batches, temperature=params.temperature, create_graph=True):
        for name, product in _hessian_times(flow, gradients, weights).items():
            scores[name] += share * weights[name].detach() * product
    return scores


def _hessian_times(
    vector: dict[str, Tensor], gradients: dict[str, Tensor], weights: dict[str, Tensor]
) -> dict[str, Tensor]:
    with torch.enable_grad():
        dot = torch.stack([(vector[name] * gradient).sum() for name, gradient in gradients.items()]).sum()
        products = torch.autograd.grad(dot, list(weights.values()), materialize_grads=True)
    return dict(zip(weights, products, strict=True))
