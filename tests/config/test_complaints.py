import math

import pytest
from pydantic import ValidationError

from pdsearch.config.problems import Problems, add_complaints
from pdsearch.config.sections import File
from pdsearch.config.yaml_tree import Mark, from_plain, to_plain
from pdsearch.errors import ConfigError
from tests.config.parts import CATALOG


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
