"""Conversion of sampled values to a trial's spec, and the points of a finite space.

Each value is checked, then combined with the fixed values.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pdsearch.config.catalog import FROM_TEACHER, NO_PRUNING
from pdsearch.config.field_rules import section_defaults
from pdsearch.config.problems import quoted
from pdsearch.config.yaml_tree import Scalar
from pdsearch.errors import ConfigError, nearest
from pdsearch.records.codec import decode, frozen
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    Params,
    PruneSpec,
    Recipe,
    StudentSpec,
    TeacherSpec,
    TrialSpec,
)

if TYPE_CHECKING:
    from pdsearch.config.space import Parameter, Space


def in_order(parameters: Mapping[str, "Parameter"]) -> tuple["Parameter", ...]:
    """Return parameters in canonical order, independent of the file's: each after those its `when` names.

    Args:
        parameters: By name, with valid conditions: each names another of them, without cycles.
    """
    ordered: dict[str, Parameter] = {}
    waiting = dict(sorted(parameters.items()))
    while waiting:
        ready = [p for p in waiting.values() if ordered.keys() >= p.when.keys()]
        for parameter in ready:
            ordered[parameter.name] = waiting.pop(parameter.name)
    return tuple(ordered.values())


NOT_TRAINED = Recipe(epochs=1, lr=1.0)
"""Recipe of a teacher from a checkpoint, and of no recovery: teachers share their keys whatever the file gives."""

RECOVERY_AT_INIT = "lr_rewind"
"""Recovery where pruning starts from initial weights: the teacher's recipe then follows in any case."""

PRUNING_ONLY = ("prune.", "train.recover.")
"""Prefixes of fields without effect on a dense teacher."""

SCHEDULES_WITH_ROUNDS = frozenset({"linear", "exponential"})


def resolve(space: "Space", params: Mapping[str, object]) -> TrialSpec:
    """Return the spec of a trial; data.fingerprint is left empty, precision as the space has it.

    Args:
        space: The space.
        params: A value for each active parameter, by dotted name, and nothing else.

    Raises:
        ConfigError: A value is missing, unknown, inactive or out of range.
    """
    values = {**section_defaults(), **dict(space.fixed), **_checked(space, params)}
    try:
        return _spec(space, values)
    except KeyError as missing:
        raise ConfigError(f"{missing.args[0]} has no value here", hint="widen its `when`") from None


def _spec(space: "Space", values: Mapping[str, Any]) -> TrialSpec:
    here = values.get("teacher.checkpoint") is None or values["teacher.head"] == "fresh"
    teacher = _recipe(values, "teacher") if here else NOT_TRAINED
    return TrialSpec(
        data=DataSpec(**_fields(values, "data", DataSpec), options=_group(values, "data.options.")),
        teacher=TeacherSpec(
            recipe=teacher,
            options=_group(values, "teacher.options."),
            **_fields(values, "teacher", TeacherSpec) | {"model": values["teacher.model"]},
        ),
        student=_student(values),
        distill=DistillSpec(
            recipe=_recipe(values, "distill"),
            params=_part(space, values, "distill.", f"distill.{values['distill.loss']}"),
            **_fields(values, "distill", DistillSpec),
        ),
        prune=_prune(space, values, teacher),
        precision=space.precision,
    )


def _student(values: Mapping[str, Any]) -> StudentSpec:
    model, widths = values["student.model"], tuple(sorted(values["student.widths"]))
    if model == FROM_TEACHER:
        start = values.get("student.start") and decode(PruneSpec, values["student.start"])
        return StudentSpec(
            model, _group(values, "student.options."), init=values["student.init"], start=start
        )
    return StudentSpec(model, _group(values, "student.options."), widths=widths)


def _prune(space: "Space", values: Mapping[str, Any], teacher: Recipe) -> PruneSpec | None:
    method = values["prune.method"]
    if method == NO_PRUNING:
        return None
    fields = _fields(values, "prune", PruneSpec) | {"ratio": values["prune.ratio"]}
    if fields["schedule"] not in SCHEDULES_WITH_ROUNDS:
        fields["rounds"] = 1
    if fields["at"] == "init":
        fields["recovery"] = RECOVERY_AT_INIT
    if fields["recovery"] != "rewind":
        fields["rewind_epoch"] = 0
    recovers = {"init": teacher, "trained": None if fields["recovery"] != "none" else NOT_TRAINED}
    return PruneSpec(
        recipe=recovers[fields["at"]] or _recipe(values, "recover"),
        params=_part(space, values, "prune.params.", f"prune.{method}"),
        **fields,
    )


def _recipe(values: Mapping[str, Any], name: str) -> Recipe:
    return Recipe(**{f.name: values[f"train.{name}.{f.name}"] for f in dataclasses.fields(Recipe)})


def _fields(values: Mapping[str, Any], section: str, kind: type[Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(kind)} - {"options", "params", "recipe"}
    return {name: values[f"{section}.{name}"] for name in names if f"{section}.{name}" in values}


def _group(values: Mapping[str, object], prefix: str) -> Params:
    return tuple(
        sorted((n.removeprefix(prefix), value) for n, value in values.items() if n.startswith(prefix))
    )


def _part(space: "Space", values: Mapping[str, Any], prefix: str, part: str) -> Params:
    """Return the parameters of a part; those added later only where they differ from their default."""
    found = {
        name: values.get(f"{prefix}{name}", default) for name, default in dict(space.part_defaults)[part]
    }
    for name, absent in dict(space.part_laters).get(part, ()):
        value = values.get(f"{prefix}{name}", absent)
        found |= {} if value == absent else {name: value}
    return tuple(sorted(found.items()))


def _checked(space: "Space", params: Mapping[str, object]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if not parameter.active(values):
            continue
        if parameter.name not in params:
            raise ConfigError(f"{parameter.name} has no value", hint="give every active parameter a value")
        values[parameter.name] = _value(parameter, params[parameter.name])
    for name in params:
        if name not in values:
            known = [p.name for p in space.parameters]
            what = f"{name} does not count here" if name in known else f"{quoted(name)} is not searched"
            raise ConfigError(
                what, hint=f"{nearest(name, values)}active here: {', '.join(values) or 'nothing'}"
            )
    lists = {p.name for p in space.parameters if p.lists}
    return {name: frozen(json.loads(value)) if name in lists else value for name, value in values.items()}


def _value(parameter: "Parameter", value: object) -> object:
    if parameter.kind == "categorical":
        choice = parameter.choice(value)
        if choice is not None:
            return choice
        known = ", ".join(map(quoted, parameter.choices))
        raise ConfigError(f"{parameter.name} cannot be {quoted(value)}", hint=f"its choices: {known}")
    return _number(parameter, value)


def _number(parameter: "Parameter", value: object) -> float:
    low, high = parameter.low, parameter.high
    if low is None or high is None or isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{parameter.name} must be a number, not {quoted(value)}")
    if parameter.kind == "int" and value != int(value if math.isfinite(value) else 0):
        raise ConfigError(f"{parameter.name} must be a whole number, not {quoted(value)}")
    if not low <= value <= high:
        raise ConfigError(f"{parameter.name} cannot be {value}", hint=f"its range: {low} to {high}")
    return int(value) if parameter.kind == "int" else float(value)


def defaults(space: "Space") -> dict[str, Scalar]:
    """Return the middle of the space: first choices, centres of ranges, conditions respected."""
    values: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if parameter.active(values):
            values[parameter.name] = centre_of(parameter)
    return values


def centre_of(parameter: "Parameter") -> Scalar:
    """Return the first choice, or the middle of the range: geometric on a log scale, rounded to a step."""
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        return parameter.choices[0]
    middle = math.sqrt(low) * math.sqrt(high) if parameter.log else low + (high - low) / 2
    if parameter.step:
        steps = round((middle - low) / parameter.step)
        middle = float(Decimal(str(low)) + steps * Decimal(str(parameter.step)))
    middle = min(max(middle, low), high)
    return round(middle) if parameter.kind == "int" else float(middle)


def unpruned_space(space: "Space") -> "Space":
    """Return the same space with a dense teacher, without the parameters that only pruned teachers need."""
    kept: dict[str, Parameter] = {}
    for parameter in space.parameters:
        when = {name: values for name, values in parameter.when.items() if name != "prune.method"}
        counts = (
            NO_PRUNING in parameter.when.get("prune.method", (NO_PRUNING,)) and kept.keys() >= when.keys()
        )
        if counts and not parameter.name.startswith(PRUNING_ONLY):
            kept[parameter.name] = dataclasses.replace(parameter, when=when)
    # Parameters searched for pruned teachers only get their default for dense ones.
    gone = {p.name for p in space.parameters} - kept.keys()
    defaulted = {name: value for name, value in section_defaults().items() if name in gone}
    fixed = [
        (name, value)
        for name, value in ({**defaulted, **dict(space.fixed)}).items()
        if not name.startswith(PRUNING_ONLY)
    ]
    return dataclasses.replace(
        space,
        fixed=tuple(sorted([*fixed, ("prune.method", NO_PRUNING)])),
        parameters=in_order(kept),
        part_defaults=tuple(part for part in space.part_defaults if not part[0].startswith("prune.")),
        part_laters=tuple(part for part in space.part_laters if not part[0].startswith("prune.")),
        warnings=(),
        notes=(),
    )


def space_by_student(space: "Space") -> "list[Space]":
    """Return the same space once for each student that it lists, with no other."""
    listed = [p for p in space.parameters if p.kind == "categorical" and p.name.startswith("student.")]
    return [
        dataclasses.replace(
            space,
            parameters=tuple(
                dataclasses.replace(p, choices=(point[p.name],)) if p.name in point else p
                for p in space.parameters
            ),
        )
        for point in points_of(listed, limit=MOST_CONFIGURATIONS) or [{}]
    ]


MOST_CONFIGURATIONS = 1_000
"""Limit of a space that is run exhaustively because there are no validation images to select by."""


def points_of(parameters: Sequence["Parameter"], *, limit: int) -> list[dict[str, Scalar]] | None:
    """Return every point of a space, in order; None if it has more than the limit, or a continuous range."""
    values = {parameter.name: _values(parameter, limit) for parameter in parameters}
    if None in values.values():
        return None
    points = [*islice(combinations(parameters, lambda parameter: values[parameter.name] or ()), limit + 1)]
    return points if len(points) <= limit else None


def combinations(
    parameters: Sequence["Parameter"],
    values: Callable[["Parameter"], Iterable[Scalar]],
    chosen: Mapping[str, Scalar] = MappingProxyType({}),
) -> Iterator[dict[str, Scalar]]:
    """Yield every combination of values of parameters, conditions respected.

    Args:
        parameters: Each after those its `when` names.
        values: Returns the values of a parameter.
        chosen: Values of parameters before these.
    """
    if not parameters:
        yield dict(chosen)
        return
    first, *rest = parameters
    if not first.active(chosen):
        yield from combinations(rest, values, chosen)
        return
    for value in values(first):
        yield from combinations(rest, values, {**chosen, first.name: value})


def _values(parameter: "Parameter", most: int) -> list[Scalar] | None:
    """Return the values of a parameter; None for a continuous range, or for more of them than `most`."""
    if parameter.kind == "categorical":
        return list(parameter.choices)
    step = parameter.step or (1 if parameter.kind == "int" else None)
    if step is None or parameter.low is None or parameter.high is None:
        return None
    count = math.floor((parameter.high - parameter.low) / step + 1e-9) + 1
    if count > most:
        return None
    # In decimals, so that 0.2 + 2 * 0.2 is 0.6 and not slightly more.
    low, width = Decimal(str(parameter.low)), Decimal(str(step))
    values = [low + number * width for number in range(count)]
    return [int(value) if parameter.kind == "int" else float(value) for value in values]
