"""What is a pruning method? A function from a model to scores, registered with its parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Generator, Tensor, nn

from pdsearch.pruning.schedule import SCHEDULES
from pdsearch.registry import NoParams, Registry

__all__ = ["Batches", "PruningMethod", "Score", "methods", "pruning_method"]

Batches: TypeAlias = Sequence[tuple[Tensor, Tensor]]
"""(images, labels) pairs: float32 (B, C, H, W), normalised, and int64 (B,)."""

Score: TypeAlias = Callable[[nn.Module, Batches, Generator, Any], dict[str, Tensor]]
"""score(model, batches, generator, params) -> {name of parameter: scores of its shape}, higher = keep.

It never selects, masks or changes the model: weights, gradients and the training flag stay as they were.
"""


@dataclass(frozen=True)
class PruningMethod:
    """A registered method.

    Args:
        name: Its name in space files.
        score: The function.
        params: Dataclass of its parameters.
        needs_data: It wants batches; otherwise it is called with none.
        structured: Scores are one per output channel that is there, (out_channels,), and whole channels go, tied
            ones together; channels without a score stay.
        at: The weights it makes sense on: "trained", "init" or both.
        schedules: The schedules it makes sense with.
        scopes: Where its scores may compete: "global", "layer" or both.
        ratio: For methods with a fixed pattern: the one ratio that the parameters allow.
    """

    name: str
    score: Score
    params: type[Any]
    needs_data: bool = False
    structured: bool = False
    at: tuple[str, ...] = ("trained", "init")
    schedules: tuple[str, ...] = SCHEDULES
    scopes: tuple[str, ...] = ("global", "layer")
    ratio: Callable[[Any], float] | None = None


methods: Registry[PruningMethod] = Registry("pruning method", "pdsearch.pruning.methods")


def pruning_method(name: str, *, params: type[Any] = NoParams, **traits: Any) -> Callable[[Score], Score]:
    """Register the decorated score function as a pruning method.

    Args:
        name: Its name in space files.
        params: Dataclass of its parameters, each declared with `pdsearch.registry.parameter`.
        traits: Further fields of `PruningMethod`, e.g. needs_data=True.
    """

    def decorate(score: Score) -> Score:
        methods.add(name)(PruningMethod(name, score, params, **traits))
        return score

    return decorate
