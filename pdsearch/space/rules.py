"""Which values may a dotted name take? The same rule for a fixed value, a choice and the end of a range."""

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pdsearch.space.catalog import Catalog
from pdsearch.space.sections import (
    DataSection,
    DistillSection,
    OptionValue,
    PruneSection,
    RecipeSection,
    StudentSection,
    TeacherSection,
)

__all__ = [
    "FREE_GROUPS",
    "Rule",
    "Selectable",
    "holders",
    "part_params",
    "rule_of",
    "searchable_names",
    "section_defaults",
]

SECTIONS: Mapping[str, type[BaseModel]] = {
    "data": DataSection,
    "teacher": TeacherSection,
    "student": StudentSection,
    "train.teacher": RecipeSection,
    "train.recover": RecipeSection,
    "train.distill": RecipeSection,
    "prune": PruneSection,
    "distill": DistillSection,
}
FREE_GROUPS = ("data.options", "teacher.options", "student.options", "prune.params")
"""Sections of free names, each a dotted name of its own: `student.options.width`."""

ONCE_PER_STUDY = frozenset(
    {"data.source", "data.root", "data.val_fraction", "data.split_seed", "data.subset"}
)
"""Fixed in a study: every trial must be validated on the same images."""


@dataclass(frozen=True)
class Selectable:
    """The pruning methods and losses that a space can choose; "none" among the methods leaves the teacher dense."""

    methods: tuple[str, ...]
    losses: tuple[str, ...]


@dataclass(frozen=True)
class Rule:
    """What a dotted name may be: "int", "float", "str", "bool", "list" or "any", and the checks of a value."""

    kind: str
    adapters: tuple[TypeAdapter[Any], ...]

    def read(self, value: object, catalog: Catalog) -> Any:
        """Return the value in its field's type.

        Raises:
            ValidationError: It is illegal.
        """
        for adapter in self.adapters:
            value = adapter.validate_python(value, context=catalog)
        return value


def searchable_names(catalog: Catalog, selectable: Selectable) -> list[str]:
    """Return the dotted names that may stand under `space`, for messages."""
    names = [
        f"{prefix}.{field}"
        for prefix, section in SECTIONS.items()
        for field in section.model_fields
        if f"{prefix}.{field}" not in {*ONCE_PER_STUDY, *FREE_GROUPS}
    ]
    names += [
        f"prune.params.{p}"
        for m in selectable.methods
        if m in catalog.methods
        for p in part_params(catalog.methods[m])
    ]
    names += [
        f"distill.{p}"
        for x in selectable.losses
        if x in catalog.losses
        for p in part_params(catalog.losses[x])
    ]
    return list(dict.fromkeys(names))


def rule_of(name: str, catalog: Catalog, selectable: Selectable) -> Rule | None:
    """Return the rule of a dotted name that a trial's spec has, or None."""
    prefix, _, field = name.rpartition(".")
    if prefix in FREE_GROUPS and prefix != "prune.params":
        return _option_rule(prefix, field, catalog)
    if prefix in SECTIONS and name not in FREE_GROUPS and field in SECTIONS[prefix].model_fields:
        return _field_rule(prefix, field)
    parts = [part_params(params)[field] for params in _holding(name, catalog, selectable).values()]
    return Rule(parts[0].kind, tuple(a for part in parts for a in part.adapters)) if parts else None


def holders(name: str, catalog: Catalog, selectable: Selectable) -> tuple[str, ...]:
    """Return the selectable methods or losses that have a parameter, by its dotted name."""
    return tuple(_holding(name, catalog, selectable))


def _holding(name: str, catalog: Catalog, selectable: Selectable) -> dict[str, type[Any]]:
    prefix, _, field = name.rpartition(".")
    known, chosen = {
        "prune.params": (catalog.methods, selectable.methods),
        "distill": (catalog.losses, selectable.losses),
    }.get(prefix, ({}, ()))
    return {part: known[part] for part in chosen if part in known and field in part_params(known[part])}


@cache
def part_params(params: type[Any]) -> dict[str, Rule]:
    """Return the rule of each field of a parameter dataclass, from its type and metadata."""
    hints = typing.get_type_hints(params)
    return {
        name: _declared_rule(hints[name], field.metadata)
        for name, field in params.__dataclass_fields__.items()
    }


def _declared_rule(hint: Any, metadata: Mapping[str, Any]) -> Rule:
    if metadata.get("choices"):
        return Rule(_kind(hint), (_adapter(Literal[tuple(metadata["choices"])], ()),))
    bounds = {"ge": metadata.get("low"), "le": metadata.get("high")}
    return Rule(_kind(hint), (_adapter(hint, [Field(**{k: v for k, v in bounds.items() if v is not None})]),))


@cache
def _field_rule(prefix: str, field: str) -> Rule:
    info = SECTIONS[prefix].model_fields[field]
    return Rule(_kind(info.annotation), (_adapter(info.annotation, info.metadata),))


def _option_rule(prefix: str, field: str, catalog: Catalog) -> Rule | None:
    taken = list(catalog.models.values())
    known = prefix == "data.options" or any(options is None or field in options for options in taken)
    return Rule("any", (_adapter(OptionValue, ()),)) if known else None


def _adapter(annotation: Any, metadata: Iterable[Any]) -> TypeAdapter[Any]:
    annotated = Annotated.__class_getitem__((annotation, *metadata)) if metadata else annotation
    return TypeAdapter(annotated, config=ConfigDict(strict=True, allow_inf_nan=False))


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return type(get_args(annotation)[0]).__name__
    if get_origin(annotation) in (list, tuple):
        return "list"
    return annotation.__name__ if annotation in (int, float, str, bool) else "any"


@cache
def section_defaults() -> Mapping[str, Any]:
    """Return what every field of a trial is where a file says nothing; fields that have no default are absent."""
    defaults: dict[str, Any] = {}
    for prefix, section in SECTIONS.items():
        for name, info in section.model_fields.items():
            default = info.get_default(call_default_factory=True)
            if default is not None and f"{prefix}.{name}" not in FREE_GROUPS and not info.is_required():
                defaults[f"{prefix}.{name}"] = tuple(default) if isinstance(default, list) else default
    return MappingProxyType(defaults)
