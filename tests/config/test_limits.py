import pytest

from pdsearch.config import Constraint
from pdsearch.config.problems import Problems
from pdsearch.config.validators import read_constraints
from pdsearch.config.yaml_tree import Mark, from_plain


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
