"""Validation rules of every dotted name of a trial: the values that a field or a model's option may take."""

import dataclasses
import re
import typing
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WrapValidator

from pdsearch.config.catalog import Selectable, model_options, params_of, registered_names
from pdsearch.config.problems import EXPECTED, quoted
from pdsearch.config.sections import (
    OPTION_NAME,
    DataSection,
    DistillSection,
    OptionValue,
    PruneSection,
    RecipeSection,
    StudentSection,
    TeacherSection,
)
from pdsearch.config.validators import complaint
from pdsearch.user_code import Options

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
LISTS = (list, tuple, Sequence, Collection, Iterable)
KINDS = {int: "int", float: "float", str: "str", bool: "bool", list: "list", tuple: "list"}


@dataclass(frozen=True)
class Rule:
    """The kind of a field ("int", "float", "str", "bool", "list" or "any") and its checks."""

    kind: str
    adapters: tuple[TypeAdapter[Any], ...]

    def read(self, value: object) -> Any:
        """Return the value in its field's type.

        Raises:
            ValidationError: The value is invalid.
        """
        for adapter in self.adapters:
            value = adapter.validate_python(value)
        return value


def field_rule(annotation: Any, metadata: Iterable[Any] = ()) -> Rule:
    """Return the rule of a type with pydantic's metadata."""
    annotation = _required(annotation)
    marked: Any = Annotated
    annotated = marked[(annotation, *metadata)] if metadata else annotation
    return Rule(KINDS.get(_plain(annotation), "any"), (TypeAdapter(annotated, config=STRICT),))


def part_params(params: type[object]) -> Mapping[str, Rule]:
    """Return the rule of each field of a parameter dataclass, from its type and metadata."""
    return _part_params(cast("Hashable", params))


@cache
def _part_params(params: Hashable) -> Mapping[str, Rule]:
    kind: Any = params
    hints = typing.get_type_hints(kind)
    return {field.name: _declared(hints[field.name], field.metadata) for field in dataclasses.fields(kind)}


def _declared(hint: Any, metadata: Mapping[str, Any]) -> Rule:
    if metadata.get("choices"):
        literal: Any = Literal
        return dataclasses.replace(
            field_rule(literal[tuple(metadata["choices"])]), kind=KINDS.get(_plain(hint), "any")
        )
    if get_origin(hint) is tuple:
        hint = list[get_args(hint)[0]]  # type: ignore[misc]
    bounds = {"ge": metadata.get("low"), "le": metadata.get("high")}
    return field_rule(hint, [Field(**{key: bound for key, bound in bounds.items() if bound is not None})])


def _required(annotation: object) -> Any:
    """Return X for `X | None`."""
    given = [part for part in get_args(annotation) if part is not type(None)]
    return given[0] if len(given) == 1 and type(None) in get_args(annotation) else annotation


def option_rule(annotations: Collection[object]) -> Rule:
    """Return the rule of an option, from its annotations in all selectable models that have it.

    A value is kept as written: an integer is not converted to a float, because keys contain it.
    """
    rules = [_rule(annotation) for annotation in annotations]
    kinds = [rule.kind for rule in rules]
    kind = next((kind for kind in ("int", "float", *kinds) if kind in kinds), ANY_OPTION.kind)
    return Rule(kind, (*ANY_OPTION.adapters, *(adapter for rule in rules for adapter in rule.adapters)))


def _rule(annotation: object) -> Rule:
    form = _form(annotation)
    kept = Annotated[form, WrapValidator(_as_given)]  # type: ignore[valid-type]
    return Rule(KINDS.get(_plain(form), "any"), (TypeAdapter(kept, config=STRICT),))


def _as_given(value: object, check: Callable[[Any], Any]) -> Any:
    try:
        check(value)
    except ValidationError as error:
        items = error.errors(include_url=False)
        if not any(isinstance(step, str) for item in items for step in item["loc"]):
            raise
        # Of a union pydantic tells what each member expects; of a list, what its items would be.
        told = [
            item["ctx"]["expected"]
            if item["type"] == "literal_error"
            else EXPECTED["list_type" if item["loc"][1:] else item["type"]][0]
            for item in items
        ]
        raise complaint(
            f"expected {' or '.join(dict.fromkeys(told))}, got {quoted(value)}", "write one"
        ) from None
    return value


def _form(annotation: object) -> Any:
    """Return the type by which pydantic can validate an annotation; `Any` where its YAML form is unknown."""
    origin = get_origin(annotation)
    if annotation in (int, float, str, bool) or origin is Literal:
        return annotation
    if origin is Annotated:
        return _form(get_args(annotation)[0])
    # A space file has no null values, so None is never given.
    parts = [_form(part) for part in get_args(annotation) if part not in (NoneType, Ellipsis)]
    either: Any = Any if not parts or Any in parts else Union[tuple(parts)]  # noqa: UP007
    if origin in (Union, UnionType):
        return either
    return list[either] if annotation in LISTS or origin in LISTS else Any


def _plain(form: object) -> Any:
    """Return the single Python type of a form's values; `Any` where there are several."""
    if get_origin(form) is Annotated:  # A field that may be left out keeps its bounds inside.
        return _plain(get_args(form)[0])
    if get_origin(form) is Literal:
        kinds = {type(word) for word in get_args(form)}
        return kinds.pop() if len(kinds) == 1 else Any
    return get_origin(form) or form


ANY_OPTION = field_rule(OptionValue)
"""A string, a number, or a list of such: the only check possible for an option without an annotation."""

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
"""Sections with free names, each a dotted name of its own: `student.options.width`."""


def path_of(name: str) -> tuple[str, ...]:
    """Return the path of a dotted name within its section."""
    for group in (*FREE_GROUPS, *SECTIONS):
        if name.startswith(f"{group}."):
            return (*group.split("."), name.removeprefix(f"{group}."))
    return tuple(name.split("."))


ONCE_PER_STUDY = frozenset(f"data.{field}" for field in DataSection.model_fields) - {
    "data.augment",
    "data.options",
}
"""Fields that cannot be searched: every trial must be validated on the same images."""


def once_per_study(name: str) -> bool:
    """Return whether a field describes the images, which are the same for every trial of a study."""
    return name in ONCE_PER_STUDY or name.startswith("data.options")


def searchable_names(selectable: Selectable) -> list[str]:
    """Return the dotted names allowed under `space`, for messages."""
    found = [
        f"{prefix}.{field}"
        for prefix, section in SECTIONS.items()
        for field in section.model_fields
        if f"{prefix}.{field}" not in {*ONCE_PER_STUDY, *FREE_GROUPS}
    ]
    found += [
        f"{prefix}.{name}"
        for prefix in PART_GROUPS
        for params in parts_of(prefix, selectable).values()
        for name in part_params(params)
    ]
    return list(dict.fromkeys(found))


PART_GROUPS = {"prune.params": "prune.method", "distill": "distill.loss"}
"""Section with the parameters of a part -> the field that selects the part."""


def parts_of(prefix: str, selectable: Selectable) -> dict[str, type[Any]]:
    """Return the parameter dataclass of each selectable method or loss, by name; none of another section."""
    chosen = {"prune.params": selectable.methods, "distill": selectable.losses}.get(prefix, ())
    found = ((name, params_of(PART_GROUPS[prefix], name)) for name in chosen)
    return {name: params for name, params in found if params is not None}


def owners(name: str, selectable: Selectable) -> list[str]:
    """Return the methods or losses, registered or selectable, that have a parameter of this dotted name."""
    prefix, _, field = name.rpartition(".")
    if prefix not in PART_GROUPS:
        return []
    known = replace(selectable, methods=(*registered_names("prune.method"), *selectable.methods))
    known = replace(known, losses=(*registered_names("distill.loss"), *selectable.losses))
    return [part for part, params in parts_of(prefix, known).items() if field in part_params(params)]


def rule_of(name: str, selectable: Selectable) -> Rule | None:
    """Return the rule of a dotted name of a trial; None if there is no such name."""
    prefix, _, field = name.rpartition(".")
    if prefix in FREE_GROUPS and prefix != "prune.params":
        return _option_rule(prefix, field, selectable)
    if prefix in SECTIONS and name not in FREE_GROUPS and field in SECTIONS[prefix].model_fields:
        return _field_rule(prefix, field)
    every = [part_params(params) for params in parts_of(prefix, selectable).values()]
    parts = [rules[field] for rules in every if field in rules]
    return Rule(parts[0].kind, tuple(a for part in parts for a in part.adapters)) if parts else None


@cache
def _field_rule(prefix: str, field: str) -> Rule:
    info = SECTIONS[prefix].model_fields[field]
    return field_rule(info.annotation, info.metadata)


def _option_rule(prefix: str, option: str, selectable: Selectable) -> Rule | None:
    known = any(option in options for options in takers(prefix, selectable))
    if not known or not re.match(OPTION_NAME, option):
        return None
    models = selectable.models.get(prefix.replace("options", "model"), ())
    chosen = selectable.sources.values() if prefix == "data.options" else map(model_options, models)
    return option_rule([options.types[option] for options in chosen if option in options.types])


def takers(prefix: str, selectable: Selectable) -> list[Options]:
    """Return the options of the parts that may receive a section's options: the data source, or any model.

    All models count: an option of one that is not selected is reported elsewhere, as having no effect.
    """
    if prefix == "data.options":
        return [*selectable.sources.values()]
    chosen = [name for models in selectable.models.values() for name in models]
    return [model_options(name) for name in dict.fromkeys([*registered_names("teacher.model"), *chosen])]


@cache
def section_defaults() -> Mapping[str, Any]:
    """Return the default of each field of a trial; fields without one are absent."""
    defaults: dict[str, Any] = {}
    for prefix, section in SECTIONS.items():
        for name, info in section.model_fields.items():
            default = info.get_default(call_default_factory=True)
            if default is not None and f"{prefix}.{name}" not in FREE_GROUPS and not info.is_required():
                defaults[f"{prefix}.{name}"] = tuple(default) if isinstance(default, list) else default
    return MappingProxyType(defaults)
