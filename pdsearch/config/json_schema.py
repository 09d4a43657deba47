"""The JSON Schema of space files, generated from the sections and the registered parts, for editors."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pdsearch.config.catalog import PUBLISHED, READER, Selectable, model_options, registered_names, registry
from pdsearch.config.field_rules import (
    SECTIONS,
    Rule,
    option_rule,
    part_params,
    parts_of,
    rule_of,
    searchable_names,
)
from pdsearch.config.sections import OPTION_NAME, File, ParameterForm
from pdsearch.config.validators import METRICS
from pdsearch.user_code import Options

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

OWN_CODE: Schema = {"type": "string", "pattern": ":"}

_LISTED: Schema = {
    "required": ["choices"],
    "properties": dict.fromkeys(("low", "high", "step", "log"), False),
}
_RANGE: Schema = {"required": ["low", "high"], "properties": {"choices": False}}
"""The two kinds of a `ParameterForm`."""


def json_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of space files.

    It completes all registered names, and rejects unknown keys and wrong types; the further checks of `load` need the
    whole file.
    """
    schema = _without_null(File.model_json_schema())
    sections = schema["$defs"]
    sections["ParameterForm"] = {
        **_without_null(ParameterForm.model_json_schema()),
        "oneOf": [_LISTED, _RANGE],
    }
    for section, field, words in _words():
        known: Schema = {"enum": sorted(words)}
        if field == "model":
            known = {"anyOf": [known, {"pattern": f"^({'|'.join(PUBLISHED)})"}, OWN_CODE]}
        if field in ("loss", "method", "sampler"):
            known = {"anyOf": [known, OWN_CODE]}
        sections[section]["properties"][field] |= known
    limit = rf"^\s*({'|'.join(map(re.escape, METRICS))})\s*(<=|>=)\s*\S{{1,64}}\s*$"
    schema["properties"]["constraints"]["items"]["pattern"] = limit
    sections["DataSection"]["properties"]["augment"] |= _augment(registered_names("data.augment"))
    for place in (sections["SearchSection"]["properties"]["stop"], schema["properties"]["confirm"]):
        reference = place.pop("$ref")
        place |= {"anyOf": [{"$ref": reference}, {"const": "off"}], "default": "off"}
    sources = registry("data.source")
    sections["DataSection"]["allOf"] = _options("data.source", lambda name: sources.get(name).options)
    for section in ("Teacher", "Student"):
        sections[f"{section}Section"]["allOf"] = _options("teacher.model", model_options)
    schema["allOf"] = _parts(sections)
    schema["properties"]["space"] = _space(schema)
    sections["ParameterForm"]["properties"]["when"] |= _when(schema)
    return {"$schema": DIALECT, **schema, "title": "pdsearch space"}


def _options(field: str, of: Callable[[str], Options]) -> list[Schema]:
    """Return rules that allow a section the options of the part that it names, where it names a registered one.

    Args:
        field: Dotted name of the field that names the part.
        of: Returns a part's options.
    """
    alike: dict[str, list[str]] = {}
    for name in registry(field).names():
        options = of(name)
        if not options.others and name != READER:  # It passes further ones to the user's function.
            known = {
                option: option_rule([kind]).adapters[-1].json_schema()
                for option, kind in options.types.items()
            }
            alike.setdefault(json.dumps(known, sort_keys=True), []).append(name)
    named = field.rpartition(".")[2]
    return [
        {
            "if": {"properties": {named: {"enum": some}}, "required": [named]},
            "then": {
                "properties": {"options": {"properties": json.loads(known), "additionalProperties": False}}
            },
        }
        for known, some in alike.items()
    ]


def _parts(sections: Schema) -> list[Schema]:
    """Allow any parameters of methods and losses, and return rules that forbid unknown ones without user code.

    Only the loader knows the parameters of a user's method or loss. So where a document names one, fixed or searched,
    any parameter is accepted; otherwise names and types are those of the registered parts.
    """
    distill, params = sections["DistillSection"], sections["PruneSection"]["properties"]["params"]
    distill.pop("additionalProperties", None)
    params.pop("patternProperties", None)
    losses, methods = (_parameters(parts_of(prefix, _everything())) for prefix in ("distill", "prune.params"))
    fields = [*distill["properties"], *losses]
    distill["properties"] |= _described(losses)
    params["properties"] = _described(methods)
    return [
        _unless_own(
            "distill.loss",
            {"distill": {"properties": losses, "propertyNames": {"enum": sorted(fields)}}},
            _under("distill.", fields, losses),
        ),
        _unless_own(
            "prune.method",
            {
                "prune": {
                    "properties": {"params": {"properties": methods, "propertyNames": {"enum": [*methods]}}}
                }
            },
            _under("prune.params.", methods, methods),
        ),
    ]


def _described(parameters: Schema) -> Schema:
    """Return parameters by name with their descriptions and without validation rules."""
    texts = {
        name: kind.get("description") or kind["anyOf"][0]["description"] for name, kind in parameters.items()
    }
    return {name: {"description": text} for name, text in texts.items()}


def _unless_own(field: str, closed: Schema, space: Schema) -> Schema:
    """Return a rule for documents that name no user code in a field, neither fixed nor searched."""
    section, _, name = field.partition(".")
    several: Schema = {"type": "array", "contains": OWN_CODE}
    form: Schema = {"type": "object", "properties": {"choices": several}, "required": ["choices"]}
    searched = {"anyOf": [OWN_CODE, several, form]}
    fixed = {
        "properties": {section: {"properties": {name: OWN_CODE}, "required": [name]}},
        "required": [section],
    }
    named = {
        "properties": {"space": {"properties": {field: searched}, "required": [field]}},
        "required": ["space"],
    }
    return {"if": {"anyOf": [fixed, named]}, "else": {"properties": {**closed, "space": space}}}


def _under(prefix: str, fields: Iterable[str], parameters: Iterable[str]) -> Schema:
    """Return the rule of entries of `space` with a prefix: known fields, and parts' parameters by their own rule."""
    everything = _everything()
    known = sorted(f"{prefix}{field}" for field in fields)
    return {
        "properties": {f"{prefix}{name}": _entry(f"{prefix}{name}", everything) for name in parameters},
        "propertyNames": {"anyOf": [{"enum": known}, {"not": {"pattern": f"^{re.escape(prefix)}"}}]},
    }


def _everything() -> Selectable:
    return Selectable(tuple(registered_names("prune.method")), tuple(registered_names("distill.loss")))


def _words() -> list[tuple[str, str, Iterable[str]]]:
    return [
        ("DataSection", "source", registered_names("data.source")),
        ("TeacherSection", "model", registered_names("teacher.model")),
        ("StudentSection", "model", registered_names("student.model")),
        ("PruneSection", "method", registered_names("prune.method")),
        ("DistillSection", "loss", registered_names("distill.loss")),
        ("SearchSection", "sampler", registered_names("search.sampler")),
        ("ObjectiveSection", "metric", METRICS),
        ("StopSection", "metric", METRICS),
    ]


def _augment(known: Iterable[str]) -> Schema:
    """Return the forms of `data.augment`: a name to complete, several joined, or a list of them."""
    one = rf"({'|'.join(sorted(known))})(\([0-9.]+\))?"
    joined = {"type": "string", "pattern": rf"^{one}( *\+ *{one})*$"}
    listed = {"type": "array", "items": {"type": "string", "pattern": f"^{one}$"}, "minItems": 1}
    return {"type": ["string", "array"], "anyOf": [{"enum": sorted(known)}, joined, listed]}


def _without_null(schema: object) -> Any:
    """Return a schema without null: no field of a space file can be null."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {key: _without_null(value) for key, value in schema.items()}
    kinds = cleaned.get("anyOf")
    if isinstance(kinds, list) and {"type": "null"} in kinds:
        kinds.remove({"type": "null"})
        cleaned.pop("anyOf")
        cleaned |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        cleaned.pop("default", None)
    return cleaned


def _parameters(parts: Mapping[str, type[Any]]) -> Schema:
    found: dict[str, list[Schema]] = {}
    for part in parts.values():
        for name, rule in part_params(part).items():
            help_text = part.__dataclass_fields__[name].metadata.get("help", "")
            found.setdefault(name, []).append({**_value(rule), "description": help_text})
    return {name: _any_of(kinds) for name, kinds in sorted(found.items())}


def _any_of(kinds: list[Schema]) -> Schema:
    distinct = [kind for i, kind in enumerate(kinds) if kind not in kinds[:i]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _space(schema: Mapping[str, Any]) -> Schema:
    # Parameters of methods and losses are left to `_parts`: their rules apply only where no user code is named.
    fields, everything = searchable_names(Selectable((), ())), _everything()
    options = r"teacher\.options|student\.options"
    return {
        "type": "object",
        "description": schema["properties"]["space"]["description"],
        "properties": {
            name: _forms({"type": "string", **words})
            if (words := _words_of(name, schema))
            else _entry(name, everything)
            for name in fields
        },
        "patternProperties": {
            f"^({options})\\.{OPTION_NAME[1:]}": _forms({}),
            r"^(distill|prune\.params)\.": {},
        },
        "additionalProperties": False,
    }


def _words_of(name: str, schema: Mapping[str, Any]) -> Schema:
    """Return the words that a field's section allows; empty where it is no choice between words."""
    section, _, field = name.rpartition(".")
    known = schema["$defs"][SECTIONS[section].__name__]["properties"].get(field, {})
    return {key: known[key] for key in ("enum", "anyOf") if key in known}


def _entry(name: str, everything: Selectable) -> Schema:
    rule = rule_of(name, everything)
    return _forms(_value(rule) if rule is not None and rule.kind != "any" else {})


def _value(rule: Rule) -> Schema:
    return _any_of([adapter.json_schema() for adapter in rule.adapters])


def _forms(value: Schema) -> Schema:
    """Return the forms of an entry of `space`: one value, several, or a form with several or with a range of them."""
    fixed = value or {"type": ["boolean", "number", "string"]}
    choices = {"type": "array", "items": value, "minItems": 1}
    within = {"properties": {"choices": choices, "low": value, "high": value}}
    return {"anyOf": [fixed, choices, {"allOf": [{"$ref": "#/$defs/ParameterForm"}, within]}]}


def _when(schema: Mapping[str, Any]) -> Schema:
    """Return the rule of `when`: what may be searched, and of words those that there are."""
    space = schema["properties"]["space"]
    words = {name: found for name in space["properties"] if (found := _words_of(name, schema))}
    return {
        "properties": {
            name: {"anyOf": [one, {"type": "array", "items": one}]}
            for name, found in words.items()
            for one in ({"type": "string", **found},)
        },
        "propertyNames": {
            "anyOf": [{"enum": [*space["properties"]]}, *({"pattern": p} for p in space["patternProperties"])]
        },
        "minProperties": 1,
    }
