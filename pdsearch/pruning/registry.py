"""The registry of pruning methods, functions from a model to scores; rounds and check of a spec."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Generator, Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pruning.prunable import WEIGHTS
from pdsearch.pruning.select import SCOPES
from pdsearch.registry import NoParams, Registry, make_params
from pdsearch.specs import PruneSpec
from pdsearch.user_code import load_part

KEPT_PER_ROUND = 0.8
"""A geometric round keeps 80 % of what remains, as lottery tickets and arXiv 2109.14960's code do."""

SCHEDULES = ("geometric", "linear", "exponential", "one_shot")
MAX_ROUNDS = 1000

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


KNOWN = {
    "recovery": ("lr_rewind", "finetune", "rewind", "none"),
    "scope": SCOPES,
    "at": ("trained", "init"),
    "weights": WEIGHTS,
}


def check_spec(spec: PruneSpec, entry: PruningMethod) -> None:
    """Reject specs that are impossible or meaningless, with the first reason of `refusals`.

    Raises:
        ConfigError: As in `refusals`.
    """
    for error in refusals(spec, entry):
        raise error


def refusals(spec: PruneSpec, entry: PruningMethod) -> list[ConfigError]:
    """Return every reason why a spec is impossible or meaningless.

    Returns:
        An error for each name that is unknown, number out of range, and setting that the method does not support.
    """
    found: list[ConfigError] = []
    try:
        targets(spec)
        params = make_params(entry.params, spec.params, where=f"prune.{spec.method}")
        ratio = entry.ratio and entry.ratio(params)
    except ConfigError as error:
        return [error]
    for field, words in KNOWN.items():
        if getattr(spec, field) not in words:
            what = f"unknown prune.{field} {getattr(spec, field)!r}"
            found.append(ConfigError(what, hint=f"known: {', '.join(words)}"))
    scopes = entry.scopes
    if "layer" in scopes and entry.ratio is None:
        # Of a channel it is not known how many weights go with it, and an untrained network has nothing to lose.
        scopes += () if entry.structured else ("erk",)
        scopes += ("sensitivity",) if spec.at == "trained" else ()
    for field, allowed in (("at", entry.at), ("schedule", entry.schedules), ("scope", scopes)):
        if getattr(spec, field) not in allowed:
            what = f"{entry.name} makes no sense with prune.{field}: {getattr(spec, field)}"
            found.append(ConfigError(what, hint=f"use prune.{field}: {' or '.join(allowed)}"))
    if not entry.removes and spec.recovery == "none":
        what = f"{entry.name} removes nothing, and with prune.recovery: none nothing would be trained either"
        hint = "use the recovery of the pruned teachers it is compared with, or prune.method: none"
        found.append(ConfigError(what, hint=hint))
    if ratio is not None and not math.isclose(spec.ratio, ratio):
        what = f"{entry.name} has one ratio with these parameters, not {spec.ratio}"
        found.append(ConfigError(what, hint=f"use prune.ratio: {ratio:g}"))
    return found


def targets(spec: PruneSpec) -> tuple[float, ...]:
    """Return the cumulative sparsity after each round, strictly increasing, each in (0, 1).

    - geometric: 1 - 0.8^k for k = 1, 2, ... up to the round nearest to the ratio; `rounds` is not used.
      Ratios that mean one round share it: 36, 59 and 79 % are the rounds 2, 4 and 7 of one chain.
    - linear: the ratio in `rounds` equal steps.
    - exponential: the density falls by the same factor in each of `rounds` rounds.
    - one_shot: the ratio at once; `rounds` is not used.

    Raises:
        ConfigError: ratio outside (0, 1), rounds outside [1, 1000], or an unknown schedule.
    """
    if not 0 < spec.ratio < 1:
        raise ConfigError(
            f"prune.ratio must be in (0, 1), got {spec.ratio}", hint="for no pruning: prune.method: none"
        )
    if not 1 <= spec.rounds <= MAX_ROUNDS:
        raise ConfigError(f"prune.rounds must be in [1, {MAX_ROUNDS}], got {spec.rounds}")
    rounds = range(1, spec.rounds + 1)
    if spec.schedule == "geometric":
        return tuple(geometric_sparsity(k) for k in range(1, geometric_round(spec.ratio) + 1))
    if spec.schedule == "linear":
        return (*(spec.ratio * k / spec.rounds for k in rounds[:-1]), spec.ratio)
    if spec.schedule == "exponential":
        return (*(1 - (1 - spec.ratio) ** (k / spec.rounds) for k in rounds[:-1]), spec.ratio)
    if spec.schedule == "one_shot":
        return (spec.ratio,)
    raise ConfigError(f"unknown prune.schedule {spec.schedule!r}", hint=f"known: {', '.join(SCHEDULES)}")


def geometric_sparsity(k: int) -> float:
    """Return the sparsity after k geometric rounds, 1 - 0.8^k."""
    return 1 - KEPT_PER_ROUND**k


def geometric_round(ratio: float) -> int:
    """Return the round k >= 1 whose sparsity is nearest to a ratio in (0, 1); of two, the earlier."""
    k = max(1, math.floor(math.log(1 - ratio) / math.log(KEPT_PER_ROUND)))
    return min((k, k + 1), key=lambda k: abs(geometric_sparsity(k) - ratio))
