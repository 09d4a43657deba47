"""Which options does a part take, and of which types? Those that it declares; a function does in its signature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any

__all__ = ["Options", "declared_by", "takes_others"]

VAR_KEYWORD, VAR_POSITIONAL = Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL


@dataclass(frozen=True)
class Options:
    """What a model or a data source can be given; `name in options` says whether it takes that one.

    Args:
        types: The annotation of each declared option; `inspect.Parameter.empty` where it has none.
        others: It takes any other as well.
    """

    types: Mapping[str, Any] = field(default_factory=dict)
    others: bool = False

    def __contains__(self, name: object) -> bool:
        return self.others or name in self.types


def declared_by(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    """Return the arguments that a function declares by name.

    Raises:
        TypeError: It has no signature; or a ValueError, as `inspect.signature`.
    """
    return {
        name: parameter
        for name, parameter in _parameters(function).items()
        if parameter.kind not in (VAR_KEYWORD, VAR_POSITIONAL)
    }


def takes_others(function: Callable[..., Any]) -> bool:
    """Say whether a function takes arguments by name that it does not declare."""
    return any(parameter.kind is VAR_KEYWORD for parameter in _parameters(function).values())


@lru_cache(maxsize=256)  # Signatures are most of the time that reading a space takes.
def _parameters(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    try:
        return signature(function, eval_str=True).parameters
    # An annotation of the user's own, if it is text, may be any text.
    except Exception:
        return signature(function).parameters
