"""Which dotted names does a trial have, by which rule? The same for a value, a choice, the end of a range."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from pdsearch.options import Options
from pdsearch.space.catalog import Catalog
from pdsearch.space.options import option_rule
from pdsearch.space.sections import (
    OPTION_NAME,
    DataSection,
    DistillSection,
    PruneSection,
    RecipeSection,
    StudentSection,
    TeacherSection,
)
from pdsearch.space.selectable import Selectable
from pdsearch.space.values import Rule, field_rule, part_params

__all__ = [
    "FREE_GROUPS",
    "ONCE_PER_STUDY",
    "SECTIONS",
    "once_per_study",
    "rule_of",
    "searchable_names",
    "section_defaults",
    "takers",
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
    {
        "data.source",
        "data.root",
        "data.val_fraction",
        "data.test_fraction",
        "data.split_seed",
        "data.subset",
    }
)
"""Fixed in a study: every trial must be validated on the same images."""


def once_per_study(name: str) -> bool:
    """Say whether a field belongs to the images, which are the same for every trial of a study."""
    return name in ONCE_PER_STUDY or name.startswith("data.options")


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
        return _option_rule(prefix, field, catalog, selectable)
    if prefix in SECTIONS and name not in FREE_GROUPS and field in SECTIONS[prefix].model_fields:
        return _field_rule(prefix, field)
    parts = [part_params(params)[field] for params in _holding(name, catalog, selectable).values()]
    return Rule(parts[0].kind, tuple(a for part in parts for a in part.adapters)) if parts else None


def _holding(name: str, catalog: Catalog, selectable: Selectable) -> dict[str, type[Any]]:
    prefix, _, field = name.rpartition(".")
    known, chosen = {
        "prune.params": (catalog.methods, selectable.methods),
        "distill": (catalog.losses, selectable.losses),
    }.get(prefix, ({}, ()))
    return {part: known[part] for part in chosen if part in known and field in part_params(known[part])}


@cache
def _field_rule(prefix: str, field: str) -> Rule:
    info = SECTIONS[prefix].model_fields[field]
    return field_rule(info.annotation, info.metadata)


def _option_rule(prefix: str, option: str, catalog: Catalog, selectable: Selectable) -> Rule | None:
    known = any(option in options for options in takers(prefix, catalog, selectable))
    if not known or not re.match(OPTION_NAME, option):
        return None
    parts, chosen = (
        (catalog.sources, selectable.sources)
        if prefix == "data.options"
        else (catalog.models, selectable.models.get(prefix.replace("options", "model"), ()))
    )
    types = [parts[part].types for part in chosen if part in parts]
    return option_rule([declared[option] for declared in types if option in declared])


def takers(prefix: str, catalog: Catalog, selectable: Selectable) -> list[Options]:
    """Return what may take the options of a section: the one data source, or any model.

    An option of a model that is not chosen is another complaint: that it has no effect.
    """
    if prefix == "data.options":
        return [catalog.sources[name] for name in selectable.sources]
    return [*catalog.models.values()]


@cache
def section_defaults() -> Mapping[str, Any]:
    """Return what each field of a trial is where a file says nothing; fields without a default are absent."""
    defaults: dict[str, Any] = {}
    for prefix, section in SECTIONS.items():
        for name, info in section.model_fields.items():
            default = info.get_default(call_default_factory=True)
            if default is not None and f"{prefix}.{name}" not in FREE_GROUPS and not info.is_required():
                defaults[f"{prefix}.{name}"] = tuple(default) if isinstance(default, list) else default
    return MappingProxyType(defaults)
