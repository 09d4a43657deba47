"""Reader of the section `space`: fixed values, choices, ranges and conditions, each checked by its field's rule."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationError

from pdsearch.config.catalog import Selectable, as_sequence, narrowed
from pdsearch.config.field_rules import FREE_GROUPS, Rule, once_per_study, owners, rule_of, searchable_names
from pdsearch.config.problems import Problems, add_complaints, quoted
from pdsearch.config.sections import ParameterForm
from pdsearch.config.space import Parameter
from pdsearch.config.yaml_tree import Mark, Node, Scalar, dotted, node_at, to_plain
from pdsearch.errors import nearest

RANGE_KEYS = ("low", "high", "log", "step")
MOST_STEPS = 2**53
"""Steps of a range that can be told apart as floating-point numbers."""


@dataclass
class Declarations:
    """The entries of `space`: searched parameters, fixed values, the position of each, and which are wrong."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)


def read_space(root: Node, problems: Problems, selectable: Selectable) -> Declarations:
    """Read every entry of `space`, reporting mistakes."""
    found = Declarations()
    section = node_at(root, ("space",))
    if section is None or not isinstance(section.value, dict):
        return found
    for name, node in section.value.items():
        rule = rule_of(name, narrowed(node, selectable))
        known = selectable.sure_losses if name.startswith("distill.") else selectable.sure_methods
        if not known and owners(name, selectable):
            # An unknown method or loss is reported as such; its parameters cannot be known.
            found.broken.add(name)
            continue
        if once_per_study(name) or rule is None:
            _add_unknown(name, section.keys[name], problems, selectable)
            found.broken.add(name)
            continue
        found.marks[name] = section.keys[name]
        _Reader(root, problems, name, rule).read(node, found)
    return found


def _add_unknown(name: str, mark: Mark, problems: Problems, selectable: Selectable) -> None:
    what, hint = f"nothing is called {quoted(name)}", "see the space reference for the names"
    having = owners(name, selectable)
    if once_per_study(name):
        what, hint = f"{name} cannot be searched", "every trial must see the same images; fix it under data"
    elif name in FREE_GROUPS:
        what, hint = f"{name} cannot be searched as a whole", f"search one of them: {name}.NAME"
    elif having:
        what = f"no selectable {'method' if name.startswith('prune.') else 'loss'} has {name}"
        hint = f"make one selectable that has it ({', '.join(having)}), or remove it"
    advice: str | Callable[[], str] = hint
    if what.startswith("nothing"):
        advice = lambda: nearest(name, searchable_names(selectable)) + hint  # noqa: E731
    problems.add(what, mark, key=dotted(("space", name)), hint=advice)


@dataclass
class _Reader:
    root: Node
    problems: Problems
    name: str
    rule: Rule

    def read(self, node: Node, found: Declarations) -> None:
        if isinstance(node.value, dict):
            parameter = self.form(node)
        elif isinstance(node.value, list):
            parameter = self.categorical(to_plain(node), (), {})  # type: ignore[arg-type]
        else:
            value, parameter = self.value(node.value, ()), None
            if value is not None:
                found.fixed[self.name] = value
                return
        if parameter is not None:
            found.parameters[self.name] = parameter
        else:
            found.broken.add(self.name)

    def form(self, node: Node) -> Parameter | None:
        before = len(self.problems.found)
        try:
            form = ParameterForm.model_validate(to_plain(node))
        except ValidationError as error:
            add_complaints(error, ParameterForm, self.root, self.problems, at=("space", self.name))
            return None
        given = form.model_fields_set
        when = self.when(form.when) if form.when is not None else {}
        if "choices" in given and given.intersection(RANGE_KEYS):
            self.complain("both choices and a range", "keep either choices, or low and high")
        elif form.choices is not None:
            parameter = self.categorical(form.choices, ("choices",), when)
            return parameter if len(self.problems.found) == before else None
        elif not {"low", "high"} <= given:
            self.complain(
                "neither choices nor a whole range", "write {choices: [...]}, or {low: ..., high: ...}"
            )
        else:
            return self.range(form, when)
        return None

    def complain(self, what: str, hint: str, *inside: str | int) -> None:
        self.problems.add_at(self.root, ("space", self.name, *inside), what, hint)

    def value(self, value: object, inside: tuple[str | int, ...]) -> Any:
        try:
            return self.rule.read(value)
        except ValidationError as error:
            path = ("space", self.name, *inside)
            add_complaints(error, None, self.root, self.problems, at=path)
            return None

    def categorical(
        self, values: list[Any], inside: tuple[str, ...], when: dict[str, tuple[Scalar, ...]]
    ) -> Parameter | None:
        before = len(self.problems.found)
        if not values:
            self.complain("an empty list", "give at least one choice", *inside)
        read = [self.value(value, (*inside, i)) for i, value in enumerate(values)]
        lists = any(isinstance(value, list) for value in read)
        choices = [json.dumps(value) if lists else value for value in read]
        for i, choice in enumerate(choices):
            if len(self.problems.found) == before and choice in choices[:i]:
                same = choices[choices.index(choice)]  # Samplers take 1, 1.0 and true for one choice.
                twice = f"the choice {quoted(choice)} stands twice"
                what = twice if repr(same) == repr(choice) else f"{twice}: it equals {quoted(same)}"
                self.complain(what, "keep one of them", *inside, i)
        if len(self.problems.found) > before or None in read:  # null is told for the whole file
            return None
        return Parameter(self.name, "categorical", choices=tuple(choices), when=when, lists=lists)

    def when(self, conditions: Mapping[str, object]) -> dict[str, tuple[Scalar, ...]]:
        if not conditions:
            self.complain("an empty `when`", "name a parameter and its values, or remove it", "when")
        return {name: tuple(as_sequence(v)) for name, v in conditions.items()}

    def range(self, form: ParameterForm, when: dict[str, tuple[Scalar, ...]]) -> Parameter | None:
        kind = self.rule.kind
        if kind == "any":
            kind = "float" if any(isinstance(x, float) for x in (form.low, form.high, form.step)) else "int"
        if kind not in ("int", "float"):
            self.complain(f"{self.name} has no range: it is no number", "write a list of choices")
            return None
        before = len(self.problems.found)
        low, high = self.value(form.low, ("low",)), self.value(form.high, ("high",))
        if len(self.problems.found) == before:
            self.check_range(form, kind)
        if len(self.problems.found) > before:
            return None
        return Parameter(self.name, kind, low=low, high=high, log=form.log, step=_step(form, kind), when=when)

    def check_range(self, form: ParameterForm, kind: str) -> None:
        low, high, step = form.low, form.high, form.step
        if low >= high:
            self.complain(
                f"low {low} is not below high {high}", "swap them, or write one value to fix it", "low"
            )
        elif form.log and low <= 0:
            self.complain(
                f"a logarithmic range cannot start at {low}", "start above zero, or remove log", "low"
            )
        elif form.log and step is not None:
            self.complain("both log and step", "keep one of them", "step")
        elif step is not None and (step <= 0 or (kind == "int" and not isinstance(step, int))):
            self.complain(
                f"a step of {step}", "write a positive number, whole for a whole-number field", "step"
            )
        elif step is not None and (high - low) / step > MOST_STEPS:
            self.complain(
                f"steps of {step} from {low} to {high} are too many to count", "remove step", "step"
            )
        elif step is not None and (left := (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step))):
            self.complain(
                f"steps of {step} from {low} do not reach {high}",
                f"end at {Decimal(str(high)) - left}",
                "high",
            )


def _step(form: ParameterForm, kind: str) -> float | None:
    if form.step is None or not math.isfinite(form.step):
        return None
    return int(form.step) if kind == "int" else float(form.step)


def check_conditions(root: Node, declared: Declarations, problems: Problems) -> None:
    """Check every `when` and convert its values to the types of the choices they name."""
    for name, parameter in declared.parameters.items():
        when = {}
        for other, values in parameter.when.items():
            if other in declared.broken:
                continue
            complaint = _complaint(other, values, declared)
            if complaint is None:
                when[other] = tuple(declared.parameters[other].choice(value) for value in values)
            else:
                problems.add_at(root, ("space", name, "when", other), *complaint, of_key=True)
        declared.parameters[name] = replace(parameter, when=when)
    circle = _circle(declared.parameters)
    if circle:
        what = f"conditions in a circle: {' -> '.join(circle)}"
        path = ("space", circle[0], "when", circle[1])
        problems.add_at(root, path, what, "remove one `when` of the circle", of_key=True)


def _complaint(other: str, values: tuple[Scalar, ...], declared: Declarations) -> tuple[str, str] | None:
    parameter = declared.parameters.get(other)
    if parameter is None:
        if other in declared.marks:
            return f"{other} is fixed, not searched", "remove the condition, or search it"
        near = nearest(other, declared.parameters)
        return f"{quoted(other)} is not searched", f"{near}a condition names a parameter under space"
    if parameter.kind != "categorical" or parameter.lists:
        return f"{other} is no choice between single values", "a condition names values of a choice"
    if not values:
        return "no values", "name the values for which this parameter counts"
    for value in values:
        if parameter.choice(value) is None:
            known = ", ".join(map(quoted, parameter.choices))
            near = nearest(str(value), [str(c) for c in parameter.choices])
            return f"{other} is never {quoted(value)}", f"{near}its choices: {known}"
    return None


def _circle(parameters: Mapping[str, Parameter]) -> list[str]:
    """Return a circle of conditions, from its first parameter in the file back to it; empty if there is none."""
    try:
        TopologicalSorter({name: parameter.when for name, parameter in parameters.items()}).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1][:0:-1]
        start = min(range(len(circle)), key=lambda place: list(parameters).index(circle[place]))
        return [*circle[start:], *circle[:start], circle[start]]
    return []
