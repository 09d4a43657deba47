"""Checks of a pruning spec that are possible before a teacher is trained."""

import math

from pdsearch.errors import ConfigError
from pdsearch.pruning.registry import PruningMethod
from pdsearch.pruning.schedule import targets
from pdsearch.registry import make_params
from pdsearch.specs import PruneSpec

__all__ = ["check"]

KNOWN = {
    "recovery": ("lr_rewind", "finetune", "rewind", "none"),
    "scope": ("global", "layer"),
    "at": ("trained", "init"),
}


def check(spec: PruneSpec, entry: PruningMethod) -> None:
    """Reject specs that are impossible or meaningless, with the reason.

    Args:
        spec: The requested pruning.
        entry: The registered method of its name.

    Raises:
        ConfigError: A name is unknown, a number is out of range, or the method does not support a setting.
    """
    targets(spec)
    params = make_params(entry.params, spec.params, where=f"prune.{spec.method}")
    for field, words in KNOWN.items():
        if getattr(spec, field) not in words:
            raise ConfigError(
                f"unknown prune.{field} {getattr(spec, field)!r}", hint=f"known: {', '.join(words)}"
            )
    for field, allowed in (("at", entry.at), ("schedule", entry.schedules), ("scope", entry.scopes)):
        if getattr(spec, field) not in allowed:
            raise ConfigError(
                f"{entry.name} makes no sense with prune.{field}: {getattr(spec, field)}",
                hint=f"use prune.{field}: {' or '.join(allowed)}",
            )
    if not entry.removes and spec.recovery == "none":
        raise ConfigError(
            f"{entry.name} removes nothing, and with prune.recovery: none nothing would be trained either",
            hint="use the recovery of the pruned teachers it is compared with, or prune.method: none",
        )
    if entry.ratio is not None and not math.isclose(spec.ratio, entry.ratio(params)):
        raise ConfigError(
            f"{entry.name} has one ratio with these parameters, not {spec.ratio}",
            hint=f"use prune.ratio: {entry.ratio(params):g}",
        )
