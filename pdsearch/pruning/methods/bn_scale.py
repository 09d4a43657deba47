"""Channels by the absolute scale of their batch normalisation (network slimming)."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pdsearch.errors import TrialError
from pdsearch.pruning.gradients import probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("bn_scale", needs_data=True, structured=True, at=("trained",))
def score_bn_scale(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score output channels by |gamma| of the batch normalisation that reads the layer's output.

    Which one reads it is seen by sending one image through. Layers whose output goes elsewhere first have no
    score and stay whole. At initialisation every gamma is 1 and says nothing. The paper trains with an L1
    penalty on gamma before; here the teacher's own training decides.

    Raises:
        TrialError: No layer is followed by batch normalisation.

    When:
        On trained networks whose every convolution is followed by batch normalisation. Not where a scale is
        undone by the layer after it.

    Cost:
        Forward for one image a round; the dependency graph is traced with one image.

    Source:
        Liu, Li, Shen, Huang, Yan, Zhang, "Learning efficient convolutional networks through network
        slimming", ICCV 2017, arXiv 1708.06519, section 3.
    """
    scales = _scales(probe(model), batches[0][0][:1])
    if not scales:
        raise TrialError("bn_scale: no layer of this model is followed by batch normalisation")
    return {name: scales[name] for name in prunable(model) if name in scales}


@torch.no_grad()
def _scales(twin: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Return |gamma| by weight name, of the normalisation whose input is the same object as a layer's output."""
    made: dict[int, tuple[str, Tensor]] = {}
    found: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        # Keep the tensor alive: its id is unique only during its lifetime.
        return lambda _module, _inputs, output: made.update({id(output): (name, output)})

    def match(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        name, _ = made.get(id(inputs[0]), ("", None))
        if name and isinstance(module.weight, Tensor):
            found[name] = module.weight.detach().abs()

    for name in prunable(twin):
        twin.get_submodule(name.rpartition(".")[0]).register_forward_hook(note(name))
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(match)
    twin(image)
    return found
