"""A pruning method of one's own: `prune.method: my_pruning:score` in a space file, started in this folder."""

from dataclasses import dataclass

from torch import Generator, Tensor, nn

from pdsearch import Batches, parameter, prunable


@dataclass(frozen=True)
class Params:
    """Parameters: `prune.params.power` in a space file, a value, a choice or a range."""

    power: float = parameter(0.5, help="how strongly a layer's size counts", low=0.0, high=2.0)


def score(model: nn.Module, batches: Batches, generator: Generator, params: Params) -> dict[str, Tensor]:
    """Score weights by |w| * (weights of the layer)^power: large layers keep more; higher = keep."""
    return {
        name: weight.detach().abs() * weight.numel() ** params.power
        for name, weight in prunable(model).items()
    }


score.params = Params  # type: ignore[attr-defined]  # what the function declares stands in its attributes
