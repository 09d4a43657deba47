"""Students that are compared: those of one architecture and about one size.

Finalists, topping up, rankings and reports all decide here whose like a student is, so that no two can disagree.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

ALIKE = 0.9
"""Least number of weights of a student, as a share of those of the largest that it is compared with."""


@dataclass(frozen=True)
class StudentKind:
    """A student as it was built.

    Args:
        model: Its architecture.
        params: Its weights; None where they are not known.
        shape: What determines them otherwise.
    """

    model: str
    params: int | None
    shape: str


def alike(students: Iterable[StudentKind | None]) -> dict[StudentKind | None, str]:
    """Return for each student the name of those it is compared with; that of none is empty. The order does not matter.

    They have its architecture and, from the largest on, at least `ALIKE` of its weights. The architecture names them,
    and where it comes in several sizes, the weights of the largest, too.
    """
    known = sorted(
        {one for one in students if one is not None},
        key=lambda one: (one.model, -(one.params or 0), one.shape),
    )
    groups: list[list[StudentKind]] = []
    for one in known:
        if not groups or not _is_like(one, groups[-1][0]):
            groups.append([])
        groups[-1].append(one)
    models = [group[0].model for group in groups]
    functions = Counter(_function(model) for model in {*models})
    named: dict[StudentKind | None, str] = {None: ""}
    for group in groups:
        largest = group[0]
        size = f" ({_short(largest.params) if largest.params else largest.shape})"
        model = _function(largest.model) if functions[_function(largest.model)] == 1 else largest.model
        name = model + (size if models.count(largest.model) > 1 else "")
        named |= dict.fromkeys(group, name)
    return named


def _function(model: str) -> str:
    """Return a model's name without the module of one's own that it is from."""
    return model.rpartition(":")[2]


def _is_like(one: StudentKind, largest: StudentKind) -> bool:
    if one.model != largest.model:
        return False
    if one.params is None or largest.params is None:
        return one == largest
    return one.params >= ALIKE * largest.params


def _short(number: int) -> str:
    """Return a number with three digits: 58922 is "58.9k"."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
