"""Parsing of constraints `metric <= number` and `metric >= number`; nothing is evaluated as code."""

import math

from pdsearch.config.problems import Problems, nearest, show
from pdsearch.config.validators import METRICS
from pdsearch.config.yaml_reader import resolve_scalar
from pdsearch.config.yaml_tree import Node, dotted, mark_of
from pdsearch.objectives import VAL_ACCURACY, Constraint

__all__ = ["read_constraints"]


def read_constraints(texts: list[str], root: Node, problems: Problems) -> tuple[Constraint, ...]:
    """Read all constraints of a file, reporting mistakes."""
    found: list[Constraint] = []
    for i, text in enumerate(texts):
        path = ("constraints", i)
        try:
            constraint = _read(text)
            _check_possible(constraint, found)
            found.append(constraint)
        except ValueError as error:
            what, hint = error.args
            problems.add(what, mark_of(root, path), key=dotted(path), hint=hint)
    return tuple(found)


def _read(text: str) -> Constraint:
    match = Constraint.FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{show(text)} is no constraint", "write `metric <= number` or `metric >= number`")
    metric, op, bound = match.groups()
    if metric not in METRICS:
        raise ValueError(
            f"unknown metric {show(metric)}", f"{nearest(metric, METRICS)}known: {', '.join(METRICS)}"
        )
    value = resolve_scalar(bound)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(
            f"{show(bound)} is no number", "write `metric <= number`, e.g. student.params <= 15e6"
        )
    return Constraint(metric, op, float(value))


def _check_possible(constraint: Constraint, others: list[Constraint]) -> None:
    """Refuse a limit that no trial can satisfy, alone or together with the others."""
    bound, most = constraint.bound, 1.0 if constraint.metric == VAL_ACCURACY else math.inf
    if constraint.op == ">=" and bound > most:
        hint = f"an accuracy is a share: write {VAL_ACCURACY} >= {bound / 100:g}, or a number below 1"
        raise ValueError(f"no accuracy is {bound:g} or more", hint)
    if constraint.op == "<=" and (bound < 0 or (bound == 0 and constraint.metric != VAL_ACCURACY)):
        raise ValueError(f"no {constraint.metric} is {bound:g} or less", "write a larger number")
    for other in others:
        opposite = other.metric == constraint.metric and other.op != constraint.op
        if opposite and not other.holds(bound):
            raise ValueError(f"no trial can keep both {other} and {constraint}", "widen one of them")
