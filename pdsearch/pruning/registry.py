"""The registry of pruning methods: functions from a model to scores, with their parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Generator, Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pruning.schedule import SCHEDULES
from pdsearch.registry import NoParams, Registry
from pdsearch.user_code import load_part

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
        needs_data: Whether it uses batches; otherwise it is called with none.
        structured: Scores are one per remaining output channel, (out_channels,), and whole channels are removed,
            coupled ones together; channels without a score stay.
        at: The weights it is meant for: "trained", "init" or both.
        schedules: The schedules it is meant for.
        scopes: Where its scores may compete: "global", "layer" or both.
        ratio: For methods with a fixed pattern: the one ratio that the parameters allow.
        removes: Whether it removes weights; if not, the ratio only sets for how many rounds the teacher trains on.
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
    removes: bool = True


TRAITS = ("needs_data", "structured", "at", "schedules", "scopes", "ratio", "removes")
"""Function attributes that a user's own method may declare, beside its parameters."""


WORDS = {"at": ("trained", "init"), "schedules": SCHEDULES, "scopes": ("global", "layer")}
"""Allowed values of some of these attributes."""


def _own(name: str) -> PruningMethod:
    """Return the user's method of a dotted path, with traits from the attributes of the function."""
    called_with = "a network, batches of images and labels, a generator and its parameters"
    score, params = load_part(name, noun="pruning method", called_with=called_with, arguments=4)
    declared = {trait: getattr(score, trait) for trait in TRAITS if hasattr(score, trait)}
    for trait in {*declared} & {*WORDS}:
        words = declared[trait] = (
            (declared[trait],) if isinstance(declared[trait], str) else (*declared[trait],)
        )
        if not words or not {*words} <= {*WORDS[trait]}:
            what = f"{name}.{trait} is {', '.join(map(str, words)) or 'empty'}"
            raise ConfigError(what, hint=f"name some of: {', '.join(WORDS[trait])}")
    return PruningMethod(name, score, params, **declared)


methods: Registry[PruningMethod] = Registry(
    "pruning method", "pdsearch.pruning.methods", own=_own, function_of=lambda entry: entry.score
)


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
