"""SynFlow: the flow through a weight whatever the data, all weights positive, an image of ones."""

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.gradients import probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("synflow", needs_data=True)
def score_synflow(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score weights by |w| * dR/d|w|, R the sum of the logits for an image of ones through |weights|.

    Only the shape of the images is read, never their content. As in the official code every entry of the
    state is made positive and normalisation uses the running statistics: at initialisation those that say
    nothing, on a trained network those it learned. R is a product over layers that leaves 32 bits in deep
    networks, so it is taken in 64. The paper's schedule is exponential with 100 rounds and recovery none
    between them.

    When:
        At initialisation and at high ratios, where other methods cut whole layers off: with `schedule:
        exponential` and 100 rounds it provably does not. On a trained teacher it is magnitude that looks
        along whole paths.

    Cost:
        Forward and back for one image a round, in 64 bits; no training image.

    Source:
        Tanaka, Kunin, Yamins, Ganguli, "Pruning neural networks without any data by iteratively conserving
        synaptic flow", NeurIPS 2020, arXiv 2006.05467, equation 2 and algorithm 1.
    """
    twin = probe(model).double()
    with torch.no_grad():
        for value in twin.state_dict().values():
            value.abs_()
    weights = prunable(twin)
    images = batches[0][0]
    with torch.enable_grad():
        flow = twin(torch.ones_like(images[:1], dtype=torch.float64)).sum()
        gradients = torch.autograd.grad(flow, list(weights.values()), materialize_grads=True)
    return {
        name: (weight.detach() * gradient).abs()
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }
