"""N:M sparsity: of every four weights two stay, the pattern that sparse tensor cores run fast."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.errors import ConfigError
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import parameter


@dataclass(frozen=True)
class NmParams:
    """Parameters of nm."""

    keep: int = parameter(2, help="weights kept of each group; must be below group", low=1, high=16)
    group: int = parameter(4, help="neighbouring input channels that form a group", low=2, high=16)


def _ratio(params: NmParams) -> float:
    if params.keep >= params.group:
        raise ConfigError(f"nm keeps {params.keep} of {params.group}: nothing is pruned", hint="keep fewer")
    return 1 - params.keep / params.group


@pruning_method("nm", params=NmParams, schedules=("one_shot",), scopes=("layer",), ratio=_ratio)
def score_nm(model: nn.Module, batches: Batches, generator: Generator, params: NmParams) -> dict[str, Tensor]:
    """Score weights so that each group of four neighbours along the input channels keeps its two largest.

    A weight scores |w| relative to its layer's largest, below 1; the best of its group score 1 more, so that
    the ratio 1 - keep / group removes exactly the others. A layer whose input channels do not fill whole
    groups reaches the same ratio without the pattern (hardware skips such layers, usually only the first).

    When:
        Where the pruned network itself will run on sparse tensor cores (2:4). As a teacher it is a
        magnitude-pruned one at 50 %.

    Cost:
        No image. One sort of each group, once. Here the zeros are stored and computed like other weights.

    Source:
        Mishra et al., "Accelerating sparse deep neural networks", 2021, arXiv 2104.08378, sections 2 and 4.
    """
    return {name: _grouped(weight.detach(), params) for name, weight in prunable(model).items()}


def _grouped(weight: Tensor, params: NmParams) -> Tensor:
    size = weight.abs().movedim(1, -1)  # (out, *kernel, in)
    inputs = size.shape[-1]
    padded = functional.pad(size, (0, -inputs % params.group), value=-1.0)
    groups = padded.unflatten(-1, (-1, params.group))
    # Stable sort, so that of equal weights the first of the group stays.
    order = groups.argsort(dim=-1, descending=True, stable=True)
    best = torch.zeros_like(groups).scatter_(-1, order[..., : params.keep], 1.0)
    best = best.flatten(-2)[..., :inputs]
    top = size.max().clamp_min(torch.finfo(size.dtype).tiny)
    return (best + size / top / 2).movedim(-1, 1).contiguous()
