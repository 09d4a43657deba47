"""Serialization of a space: complete, with every default written out, and as the part that may not change on resume.

Two such parts are compared here: what differs, and whether the later one only adds to the one a study began with.

Fields that only files of earlier versions hold are read with a note and have no effect.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from pdsearch.config.field_rules import path_of
from pdsearch.config.validators import format_duration
from pdsearch.config.yaml_tree import Node, node_at
from pdsearch.records.codec import encode
from pdsearch.specs import DataSpec, DistillSpec, Json, PruneSpec, Recipe, StudentSpec, TeacherSpec

if TYPE_CHECKING:
    from pdsearch.config.space import Parameter, Search, Space

RUNTIME = ("study", "resources", "confirm", "storage")
RUNTIME_OF_SEARCH = (
    "trials",
    "timeout",
    "concurrency",
    "max_failures",
    "trial_timeout",
    "ledger",
    "gpu_hours",
)
ABSENT = "(absent)"


def to_json(space: "Space") -> dict[str, Json]:
    """Return the whole space in the form of a space file, every default written out."""
    document: dict[str, Any] = {"study": space.study}
    for name, value in space.fixed:
        *sections, field = path_of(name)
        place = document
        for section in sections:
            place = place.setdefault(section, {})
        place[field] = encode(value)
    return document | {
        "space": {parameter.name: _form(parameter) for parameter in space.parameters},
        "search": _search(space.search),
        "objectives": [asdict(objective) for objective in space.objectives],
        "constraints": [str(constraint) for constraint in space.constraints],
        "confirm": space.confirm.model_dump(exclude_none=True) if space.confirm else "off",
        "resources": space.resources.model_dump(exclude_none=True),
        "precision": space.precision,
        "storage": space.storage,
    }


def identity(space: "Space") -> dict[str, Json]:
    """Return the part of the space that may not change when a study is resumed."""
    # All but names, paths and budgets, and with the defaults of methods and losses.
    document: dict[str, Any] = {key: value for key, value in to_json(space).items() if key not in RUNTIME}
    document["data"] = _without_neutral(_without_places(document["data"]), DataSpec)
    # A study depends on a checkpoint's content, not its path; its hash is stored beside the identity.
    teacher = {k: v for k, v in document.get("teacher", {}).items() if k != "checkpoint"}
    document["teacher"] = _without_neutral(teacher, TeacherSpec)
    document["search"] = {
        key: value for key, value in document["search"].items() if key not in RUNTIME_OF_SEARCH
    }
    for name, kind in {"student": StudentSpec, "prune": PruneSpec, "distill": DistillSpec}.items():
        if name in document:
            document[name] = _without_neutral(document[name], kind)
    document["train"] = {
        name: _without_neutral(recipe, Recipe) for name, recipe in document.get("train", {}).items()
    }
    document["defaults"] = {
        part: {name: encode(v) for name, v in params} for part, params in space.part_defaults
    }
    return document


def _without_places(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the data section that determine the images, without paths and sources."""
    from pdsearch.data.options import LOCATED_OPTIONS  # Imported here because it imports numpy.

    kept = {key: value for key, value in data.items() if key not in ("root", "options")}
    options = {key: value for key, value in data.get("options", {}).items() if key not in LOCATED_OPTIONS}
    return {**kept, **({"options": options} if options else {})}


def _without_neutral(section: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    """Remove fields at their neutral value, so that studies from before such a field existed stay equal."""
    neutral = {f.name: encode(f.metadata["neutral"]) for f in fields(kind) if "neutral" in f.metadata}
    return {name: value for name, value in section.items() if name not in neutral or value != neutral[name]}


def diff(a: Mapping[str, Json], b: Mapping[str, Json]) -> list[str]:
    """Return the differences of two canonical forms, one line each: `train.distill.lr: 0.1 -> 0.05`."""
    before, after = dict(_leaves(a, "")), dict(_leaves(b, ""))
    return [
        f"{name}: {_text(before, name)} -> {_text(after, name)}"
        for name in sorted({*before, *after} - {*RETIRED})
        if name not in before or name not in after or _differ(before[name], after[name])
    ]


def _differ(a: object, b: object) -> bool:
    return a != b or isinstance(a, bool) != isinstance(b, bool)


def _text(leaves: Mapping[str, object], name: str) -> str:
    return str(leaves[name]) if name in leaves else ABSENT


def _leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and (value or not name):
        for key, child in value.items():
            yield from _leaves(child, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _form(parameter: "Parameter") -> dict[str, Json]:
    form: dict[str, Any] = {}
    if parameter.kind == "categorical":
        form["choices"] = [json.loads(str(c)) if parameter.lists else c for c in parameter.choices]
    else:
        form |= {"low": parameter.low, "high": parameter.high, "log": parameter.log}
        form |= {"step": parameter.step} if parameter.step is not None else {}
    if parameter.when:
        form["when"] = {name: list(values) for name, values in sorted(parameter.when.items())}
    return form


def _search(search: "Search") -> dict[str, Json]:
    document: dict[str, Any] = {name: value for name, value in asdict(search).items() if value is not None}
    document["trial_timeout"] = format_duration(search.trial_timeout)
    if search.timeout is not None:
        document["timeout"] = format_duration(search.timeout)
    if search.stop is None:
        return document | {"stop": "off"}
    halving = {"min_epochs": search.stop.min_epochs, "factor": search.stop.factor}
    return document | {"stop": {"metric": search.stop.metric, "halving": halving}}


_ONE_BY_ONE = "students that differ in their seed are trained one by one"
RETIRED = {"confirm.together": _ONE_BY_ONE, "distill.replicas": _ONE_BY_ONE}
"""Dotted name -> what happens instead."""


def drop_retired(root: Node) -> tuple[str, ...]:
    """Remove a document's retired fields, and return a note on each."""
    notes: list[str] = []
    for name, instead in RETIRED.items():
        section, field = name.split(".")
        node = node_at(root, (section,))
        if node is not None and isinstance(node.value, dict) and node.value.pop(field, None) is not None:
            notes.append(f"{name} has no effect any more: {instead}")
    return tuple(notes)


_ADDED = ("defaults.", "distill.", "prune.", "student.", "train.")
"""Sections in which a new choice may need values that nothing had before."""


@dataclass(frozen=True)
class Extension:
    """The differences of two spaces, one line each.

    Args:
        wider: Those that leave every trial so far a point of the space.
        refused: All others, with the reason.
    """

    wider: tuple[str, ...]
    refused: tuple[str, ...]


def extension(before: Mapping[str, Any], after: Mapping[str, Any]) -> Extension:
    """Compare two spaces, as `Space.identity` gives them.

    Args:
        before: What the study has.
        after: What it is to have.
    """
    was, now = before.get("space", {}), after.get("space", {})
    wider, refused = [], []
    for name in sorted({*was, *now}):
        if was.get(name) == now.get(name):
            continue
        lines = [
            f"space.{line}"
            for line in diff(*({name: each[name]} if name in each else {} for each in (was, now)))
        ]
        reason = _reason(was.get(name), now.get(name), was)
        if reason is None:
            wider += lines
        else:
            refused.append("; ".join(lines) + f" ({reason})")
    for line in diff({**before, "space": None}, {**after, "space": None}):
        added = line.startswith(_ADDED) and f": {ABSENT} -> " in line
        (wider if added and wider else refused).append(line)
    return Extension(tuple(wider), tuple(refused))


def _reason(
    was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, before: Mapping[str, Any]
) -> str | None:
    """Return why a parameter cannot follow another one in the same study; None if it only is wider."""
    if was is None:
        return "no trial so far has a value of it"
    if now is None:
        return "trials so far have values of it"
    if ("choices" in was) != ("choices" in now):
        return "a list of choices and a range cannot be compared"
    conditions = _condition(was.get("when", {}), now.get("when", {}), before)
    if conditions is not None:
        return conditions
    return _choices(was["choices"], now["choices"]) if "choices" in was else _range(was, now)


def _choices(was: list[Any], now: list[Any]) -> str | None:
    known = [repr(choice) for choice in now]
    gone = [str(choice) for choice in was if repr(choice) not in known]
    return f"{', '.join(gone)} cannot be taken away: trials may have it" if gone else None


def _range(was: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    if now["low"] > was["low"] or now["high"] < was["high"]:
        return "a range may become wider, not narrower"
    if was["log"] != now["log"]:
        return "its scale cannot change"
    if isinstance(was["low"], int) != isinstance(now["low"], int):
        return "its kind of number cannot change"
    old, new = was.get("step"), now.get("step")
    if new is None:
        return None
    if old is None or not _whole(old / new) or not _whole((was["low"] - now["low"]) / new):
        return "its steps would leave out values that trials may have"
    return None


def _whole(value: float) -> bool:
    return abs(value - round(value)) < 1e-9


def _condition(was: Mapping[str, Any], now: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """Return why a `when` cannot change so: only values that are new choices themselves may be added."""
    if was.keys() != now.keys():
        return "its `when` cannot name other parameters"
    for name, values in now.items():
        old = before.get(name, {}).get("choices", [])
        if [value for value in was[name] if value not in values]:
            return "its `when` would leave out trials that have it"
        if [value for value in values if value not in was[name] and value in old]:
            return "its `when` would ask it of trials that have none"
    return None
