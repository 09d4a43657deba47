"""Validation rules for the values of a field, from its type and bounds or a dataclass's metadata."""

import dataclasses
import typing
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter

from pdsearch.config.catalog import Catalog

__all__ = ["Rule", "field_rule", "is_later", "part_params"]


@dataclass(frozen=True)
class Rule:
    """The kind of a field ("int", "float", "str", "bool", "list" or "any") and its checks."""

    kind: str
    adapters: tuple[TypeAdapter[Any], ...]

    def read(self, value: object, catalog: Catalog) -> Any:
        """Return the value in its field's type.

        Raises:
            ValidationError: The value is invalid.
        """
        for adapter in self.adapters:
            value = adapter.validate_python(value, context=catalog)
        return value


def field_rule(annotation: Any, metadata: Iterable[Any] = ()) -> Rule:
    """Return the rule of a type with pydantic's metadata."""
    strict = ConfigDict(strict=True, allow_inf_nan=False)
    annotation = _required(annotation)
    marked: Any = Annotated
    annotated = marked[(annotation, *metadata)] if metadata else annotation
    return Rule(_kind(annotation), (TypeAdapter(annotated, config=strict),))


def part_params(params: type[Any]) -> Mapping[str, Rule]:
    """Return the rule of each field of a parameter dataclass, from its type and metadata."""
    return _part_params(cast("Hashable", params))


def is_later(params: type[Any], name: str) -> bool:
    """Return whether a parameter was added after its part was first published; see `pdsearch.registry.parameter`."""
    fields = {field.name: field for field in dataclasses.fields(params)}
    return bool(fields[name].metadata.get("later"))


@cache
def _part_params(params: Hashable) -> Mapping[str, Rule]:
    kind: Any = params
    hints = typing.get_type_hints(kind)
    return {field.name: _declared(hints[field.name], field.metadata) for field in dataclasses.fields(kind)}


def _declared(hint: Any, metadata: Mapping[str, Any]) -> Rule:
    if metadata.get("choices"):
        literal: Any = Literal
        return dataclasses.replace(field_rule(literal[tuple(metadata["choices"])]), kind=_kind(hint))
    if get_origin(hint) is tuple:
        hint = list[get_args(hint)[0]]  # type: ignore[misc]
    bounds = {"ge": metadata.get("low"), "le": metadata.get("high")}
    return field_rule(hint, [Field(**{key: bound for key, bound in bounds.items() if bound is not None})])


def _required(annotation: Any) -> Any:
    """Return X for `X | None`."""
    given = [part for part in get_args(annotation) if part is not type(None)]
    return given[0] if len(given) == 1 and type(None) in get_args(annotation) else annotation


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return type(get_args(annotation)[0]).__name__
    if get_origin(annotation) in (list, tuple):
        return "list"
    return annotation.__name__ if annotation in (int, float, str, bool) else "any"
