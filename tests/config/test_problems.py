import math

import pytest
from pydantic import ValidationError

from pdsearch.config.problems import Problems, add_complaints, nearest, show
from pdsearch.config.sections import File
from pdsearch.config.yaml_tree import Mark, from_plain, to_plain
from pdsearch.errors import ConfigError
from tests.config.parts import CATALOG


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


def complaint(document: dict[str, object]) -> str:
    root, problems = from_plain({"data": {"source": "digits"}, **document}, Mark("f")), Problems("f")
    with pytest.raises(ValidationError) as caught:
        File.model_validate(to_plain(root), context=CATALOG)
    add_complaints(caught.value, File, root, problems)
    with pytest.raises(ConfigError) as error:
        problems.check()
    return str(error.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"search": {"trails": 1}},
            "f key search.trails: unknown key 'trails'\n  -> did you mean 'trials'? ",
        ),
        (
            {"search": {"stop": {"halving": {"factr": 2, "min_epochs": 1}}}},
            "unknown key 'factr'\n  -> did you mean 'factor'?",
        ),
        ({"objectives": [{"metric": "student.params", "gaol": 1}]}, "f key objectives[0].gaol: unknown key"),
        ({"resources": {"gpu": -1}}, "-1 is out of range\n  -> must be at least 0"),
        (
            {"resources": {"gpu": 2}},
            "one GPU at most, and 2 would hold more of them\n  -> write 1 for a whole",
        ),
        (
            {"resources": {"gpu": 1.5}},
            "f key resources.gpu: a trial trains on one GPU at most, and 1.5 would",
        ),
        ({"resources": {"gpu": 1.0001}}, "and 1.0001 would hold more"),
        ({"resources": {"gpu": 1e-5}}, "Ray counts GPUs in shares of 0.0001, and 1e-05 is less\n  -> write"),
        ({"resources": {"gpu": math.nan}}, "f key resources.gpu: expected a finite number, got nan"),
        ({"resources": {"gpu": math.inf}}, "f key resources.gpu: expected a finite number, got inf"),
        ({"resources": {"gpu": True}}, "f key resources.gpu: expected a number, got true"),
        ({"resources": {"cpu": 0}}, "f key resources.cpu: 0 is out of range\n  -> must be at least 1"),
        ({"resources": {"cpu": 1_000_000}}, "1000000 is out of range\n  -> must be at most 1024"),
        ({"resources": {"cpu": 0.5}}, "f key resources.cpu: expected a whole number, got 0.5"),
        ({"resources": {"cpu": math.nan}}, "f key resources.cpu: expected a whole number, got nan"),
        ({"resources": {"accelerator": "A100 80GB"}}, "f key resources.accelerator: 'A100 80GB' is no name"),
        ({"search": {"trials": 2**40}}, "is out of range\n  -> must be at most 1000000"),
        (
            {"data": {"source": "digits", "val_fraction": 1.5}},
            "1.5 is out of range\n  -> must be less than 1",
        ),
        (
            {"prune": {"scope": "globl"}},
            "unknown word 'globl'\n  -> did you mean 'global'? known: global, layer",
        ),
        ({"prune": {"exclude": [""]}}, "f key prune.exclude[0]: expected a word, got nothing"),
        ({"prune": {"params": {"a b": 1}}}, "f key prune.params.a b: 'a b' is no name"),
        ({"constraints": ["x"] * 21}, "f key constraints: 21 entries\n  -> give at most 20"),
        ({"train": {"teacher": {"lr": True}}}, "expected a number, got true"),
        ({"study": 5}, "f key study: expected a word, got 5"),
    ],
)
def test_messages(document: dict[str, object], message: str) -> None:
    assert message in complaint(document)


def test_a_key_is_complained_of_once() -> None:
    root, problems = from_plain({"data": {"source": 1}}, Mark("f")), Problems("f")
    problems.add("known already", Mark("f"), key="data.source")
    with pytest.raises(ValidationError) as caught:
        File.model_validate(to_plain(root), context=CATALOG)
    add_complaints(caught.value, File, root, problems)
    assert len(problems.found) == 1
