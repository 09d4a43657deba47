"""Checks of a pruning spec that are possible before a teacher is trained."""

import math

from pdsearch.errors import ConfigError
from pdsearch.pruning.prunable import WEIGHTS
from pdsearch.pruning.registry import PruningMethod
from pdsearch.pruning.schedule import targets
from pdsearch.pruning.select import SCOPES
from pdsearch.registry import make_params
from pdsearch.specs import PruneSpec

KNOWN = {
    "recovery": ("lr_rewind", "finetune", "rewind", "none"),
    "scope": SCOPES,
    "at": ("trained", "init"),
    "weights": WEIGHTS,
}


def check(spec: PruneSpec, entry: PruningMethod) -> None:
    """Reject specs that are impossible or meaningless, with the first reason of `refusals`.

    Raises:
        ConfigError: As in `refusals`.
    """
    for error in refusals(spec, entry):
        raise error


def refusals(spec: PruneSpec, entry: PruningMethod) -> list[ConfigError]:
    """Return every reason why a spec is impossible or meaningless.

    Args:
        spec: The requested pruning.
        entry: The registered method of its name.

    Returns:
        An error for each name that is unknown, number out of range, and setting that the method does not support.
    """
    found: list[ConfigError] = []
    try:
        targets(spec)
        params = make_params(entry.params, spec.params, where=f"prune.{spec.method}")
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
    if entry.ratio is not None and not math.isclose(spec.ratio, entry.ratio(params)):
        what = f"{entry.name} has one ratio with these parameters, not {spec.ratio}"
        found.append(ConfigError(what, hint=f"use prune.ratio: {entry.ratio(params):g}"))
    return found
