import pytest

from pdsearch.space import Constraint
from pdsearch.space.document import Mark, from_plain
from pdsearch.space.limits import read_constraints
from pdsearch.space.problems import Problems


def read(text: str) -> tuple[tuple[Constraint, ...], Problems]:
    problems = Problems("f")
    return read_constraints([text], from_plain({"constraints": [text]}, Mark("f")), problems), problems


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("student.params <= 15e6", Constraint("student.params", "<=", 15e6)),
        (" student.val_accuracy>=0.9 ", Constraint("student.val_accuracy", ">=", 0.9)),
    ],
)
def test_limits(text: str, limit: Constraint) -> None:
    assert read(text)[0] == (limit,)
    assert read(str(limit))[0] == (limit,)


@pytest.mark.parametrize("op", ["<", "==", "=<", "<= <="])
def test_other_comparisons_are_refused(op: str) -> None:
    assert "no constraint" in next(iter(read(f"student.params {op} 5")[1].found)).what
