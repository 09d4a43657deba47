"""Conditions between parameters: each names choices of another one, and they form no cycle."""

from dataclasses import replace

from pdsearch.config.parameters import Declarations
from pdsearch.config.problems import Problems, nearest, show
from pdsearch.config.space import Parameter
from pdsearch.config.yaml_tree import Node, Scalar, dotted, mark_of

__all__ = ["check_conditions"]


def check_conditions(root: Node, declared: Declarations, problems: Problems) -> None:
    """Check every `when` and convert its values to the types of the choices they name."""
    for name, parameter in declared.parameters.items():
        when = {}
        for other, values in parameter.when.items():
            path = ("space", name, "when", other)
            if other in declared.broken:
                continue
            complaint = _complaint(other, values, declared)
            if complaint is None:
                when[other] = tuple(_match(value, declared.parameters[other]) for value in values)
            else:
                problems.add(complaint[0], mark_of(root, path, key=True), key=dotted(path), hint=complaint[1])
        declared.parameters[name] = replace(parameter, when=when)
    for cycle in _cycles(declared.parameters):
        path = ("space", cycle[0], "when", cycle[1])
        what = f"conditions in a circle: {' -> '.join(cycle)}"
        problems.add(
            what, mark_of(root, path, key=True), key=dotted(path), hint="remove one `when` of the circle"
        )


def _complaint(other: str, values: tuple[Scalar, ...], declared: Declarations) -> tuple[str, str] | None:
    parameter = declared.parameters.get(other)
    if parameter is None:
        if other in declared.marks:
            return f"{other} is fixed, not searched", "remove the condition, or search it"
        near = nearest(other, declared.parameters)
        return f"{show(other)} is not searched", f"{near}a condition names a parameter under space"
    if parameter.kind != "categorical" or parameter.lists:
        return f"{other} is no choice between single values", "a condition names values of a choice"
    if not values:
        return "no values", "name the values for which this parameter counts"
    for value in values:
        if _match(value, parameter) is None:
            known = ", ".join(map(show, parameter.choices))
            near = nearest(str(value), [str(c) for c in parameter.choices])
            return f"{other} is never {show(value)}", f"{near}its choices: {known}"
    return None


def _match(value: Scalar, parameter: Parameter) -> Scalar:
    for choice in parameter.choices:
        if choice == value and isinstance(choice, bool) == isinstance(value, bool):
            return choice
    return None


def _cycles(parameters: dict[str, Parameter]) -> list[list[str]]:
    cycles: list[list[str]] = []
    done: set[str] = set()
    for start in parameters:
        trail: list[str] = []
        stack = [(start, iter(parameters[start].when))] if start not in done else []
        trail = [start] if stack else []
        while stack:
            other = next(stack[-1][1], None)
            if other is None:
                done.add(stack.pop()[0])
                trail.pop()
            elif other in trail:
                cycles.append([*trail[trail.index(other) :], other])
            elif other in parameters and other not in done:
                stack.append((other, iter(parameters[other].when)))
                trail.append(other)
    return cycles
