"""How do a spec's (name, value) pairs become a method's parameters? Checked against its dataclass."""

import dataclasses
import math
from difflib import get_close_matches
from typing import Any

from pdsearch.errors import ConfigError
from pdsearch.specs import Params

__all__ = ["make_params", "whole_params"]


def make_params(kind: type[Any], values: Params, *, where: str | None = None) -> Any:
    """Return an instance of a parameter dataclass, its other fields at their defaults.

    Args:
        kind: Dataclass whose fields are declared with `pdsearch.registry.parameter`.
        values: (name, value) pairs, as specs hold them.
        where: What to name in messages, e.g. "distill.kd".

    Raises:
        ConfigError: A name is unknown, or a value has the wrong type or lies outside its declared range.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in values:
        if name not in fields:
            near = get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"unknown parameter {name!r}", where=where, hint=f"{hint}known: {', '.join(fields) or 'none'}"
            )
        problem = _problem(fields[name], value)
        if problem:
            raise ConfigError(f"{name}: {problem}, got {value!r}", where=where)
    return kind(**dict(values))


def whole_params(kind: type[Any], values: Params) -> Params:
    """Return all parameters of a part, sorted, as a search writes them into a spec: defaults included.

    Those that a part was given later are left out at their default, as is a key that was made before them.

    Args:
        kind: As for `make_params`.
        values: (name, value) pairs in any order.
    """
    given, found = dict(values), {}
    for field in dataclasses.fields(kind):
        value = given.get(field.name, field.default)
        if isinstance(field.default, float) and isinstance(value, int):
            value = float(value)
        if not (field.metadata.get("later") and value == field.default):
            found[field.name] = value
    return tuple(sorted(found.items()))


def _problem(field: "dataclasses.Field[Any]", value: Any) -> str | None:
    """Say what is wrong with a value; None if nothing is."""
    if choices := field.metadata.get("choices"):
        # 1 == True, but is not the choice that was declared.
        fits = any(value == choice and type(value) is type(choice) for choice in choices)
        return None if fits else f"must be one of {', '.join(map(str, choices))}"
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if low is None and high is None:
        return None
    whole = isinstance(field.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return f"must be {'a whole number' if whole else 'a number'}"
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return None if low <= value <= high else f"must be in [{low}, {high}]"
