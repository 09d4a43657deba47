import pytest

from pdsearch.config.problems import Problems, nearest, show
from pdsearch.config.yaml_tree import Mark
from pdsearch.errors import ConfigError


def test_one_problem_is_the_error() -> None:
    problems = Problems("f")
    problems.check()
    problems.add("wrong", Mark("f", 2, 3), key="a.b", hint="right it")
    with pytest.raises(ConfigError) as caught:
        problems.check()
    error = caught.value
    assert (error.what, error.where, error.hint) == ("wrong", "f:2:3 key a.b", "right it")


def test_many_are_listed_once_each_in_order_twenty_at_most() -> None:
    problems = Problems("f")
    for line in [*range(30, 0, -1), 7]:
        problems.add("wrong", Mark("f", line, 1), hint=lambda: "later")
    with pytest.raises(ConfigError) as caught:
        problems.check()
    lines = str(caught.value).splitlines()
    assert lines[0] == "f: 30 problems"
    assert lines[1:3] == ["  f:1:1: wrong -> later", "  f:2:1: wrong -> later"]
    assert lines[21:] == ["  ... and 10 more"]


def test_hints_nobody_reads_are_not_worked_out() -> None:
    problems = Problems("f")
    asked: list[int] = []

    def hint() -> str:
        asked.append(1)
        return "hint"

    for line in range(1, 100):
        problems.add("wrong", Mark("f", line, 1), hint=hint)
    with pytest.raises(ConfigError):
        problems.check()
    assert len(asked) == 20


def test_what_encloses_a_problem_is_flagged() -> None:
    problems = Problems("f")
    problems.add("wrong", Mark("f"), key="space.prune.ratio.choices[1]")
    assert problems.flagged("space")
    assert problems.flagged("space.prune.ratio.choices")
    assert not problems.flagged("space.prune.rat")


def test_nearest_word() -> None:
    assert nearest("trails", ["trials", "seed"]) == "did you mean 'trials'? "
    assert nearest("zzz", ["trials"]) == ""
    assert nearest("t" * 100_000, ["t" * 64]) == ""


@pytest.mark.parametrize(("value", "text"), [(None, "nothing"), (True, "true"), ("a", "'a'"), (1.5, "1.5")])
def test_values_in_messages(value: object, text: str) -> None:
    assert show(value) == text
