"""In which order are parameters sampled? By name, each after those its condition names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdsearch.space.model import Parameter

__all__ = ["in_order"]


def in_order(parameters: Mapping[str, "Parameter"]) -> tuple["Parameter", ...]:
    """Return parameters in their one order, which never depends on the file's.

    Args:
        parameters: By name, with sound conditions: each names another of them, none waits for itself.
    """
    ordered: dict[str, Parameter] = {}
    waiting = dict(sorted(parameters.items()))
    while waiting:
        ready = [p for p in waiting.values() if ordered.keys() >= p.when.keys()]
        for parameter in ready:
            ordered[parameter.name] = waiting.pop(parameter.name)
    return tuple(ordered.values())
