"""How important are channels that can only go together? As what goes with each, summed over all that it ties."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pdsearch.pruning.prunable import LAYERS
from pdsearch.pruning.ties import Part, find_ties

__all__ = ["grouped"]

TINY = 1e-12


def grouped(model: nn.Module, image: Tensor, measure: Callable[[Part], Tensor | None]) -> dict[str, Tensor]:
    """Return scores of output channels: the mean over the parts of their tie, over the mean of the tie.

    Every layer that makes the channels of a tie has the same scores. The mean over the tie makes ties of
    different size comparable when the scope is global.

    Args:
        model: Any network; left as it is.
        image: (1, C, H, W), of any values.
        measure: Returns what a part is worth along its axis, one number a position; None leaves the part out.
    """
    found: dict[str, Tensor] = {}
    for tie in find_ties(model, image):
        total, counted = torch.zeros(tie.size, device=image.device), 0
        for part in tie.parts:
            worth = measure(part) if _has_weight(model, part) else None
            if worth is not None:
                values = worth[list(part.positions)].to(total.dtype)
                total.index_add_(0, torch.tensor(part.channels, device=values.device), values)
                counted += 1
        score = total / max(1, counted)
        score = score / score.mean().clamp_min(TINY)
        for part in tie.parts:
            layer = model.get_submodule(part.layer)
            if part.outputs and isinstance(layer, LAYERS):
                scores = found.setdefault(part.weight, score.new_zeros(len(layer.weight)))
                scores[list(part.positions)] = score[list(part.channels)]
    return found


def _has_weight(model: nn.Module, part: Part) -> bool:
    return isinstance(getattr(model.get_submodule(part.layer), "weight", None), Tensor)
