"""What does a constraint say? `metric <= number` or `metric >= number`, taken apart and never evaluated."""

import math
import re

from pdsearch.space.document import Node, dotted, mark_of
from pdsearch.space.model import Constraint
from pdsearch.space.problems import Problems, nearest, show
from pdsearch.space.scalars import resolve_scalar
from pdsearch.space.words import METRICS

__all__ = ["read_constraints"]

CONSTRAINT = re.compile(r"\s*([A-Za-z_.]{1,64})\s*(<=|>=)\s*(\S{1,64})\s*")


def read_constraints(texts: list[str], root: Node, problems: Problems) -> tuple[Constraint, ...]:
    """Read all constraints of a file, noting what is wrong."""
    found = []
    for i, text in enumerate(texts):
        path = ("constraints", i)
        try:
            found.append(_read(text))
        except ValueError as error:
            what, hint = error.args
            problems.add(what, mark_of(root, path), key=dotted(path), hint=hint)
    return tuple(found)


def _read(text: str) -> Constraint:
    match = CONSTRAINT.fullmatch(text)
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
