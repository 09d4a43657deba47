"""Mistakes in space files: each is told with its line, its key and what to do."""

import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks.fuzz import read
from pdsearch.config import load, parse
from pdsearch.config.problems import Problems, add_complaints, quoted
from pdsearch.config.sections import File
from pdsearch.config.yaml_tree import Mark, from_plain, to_plain
from pdsearch.errors import ConfigError, nearest
from tests.config.documents import document, space
from tests.config.mutations import mutant
from tests.own_code import Author


def test_one_problem_is_the_error() -> None:
    problems = Problems("f")
    problems.check()
    problems.add("wrong", Mark("f", 2, 3), key="a.b", hint="right it")
    with pytest.raises(ConfigError) as caught:
        problems.check()
    error = caught.value
    assert (error.what, error.where, error.hint) == ("wrong", "f:2:3 key a.b", "right it")


def test_many_are_listed_once_each_in_order_twenty_at_most() -> None:
    problems, asked = Problems("f"), list[int]()

    def hint() -> str:
        asked.append(1)
        return "later"

    for line in [*range(30, 0, -1), 7]:
        problems.add("wrong", Mark("f", line, 1), hint=hint)
    with pytest.raises(ConfigError) as caught:
        problems.check()
    lines = str(caught.value).splitlines()
    assert lines[0] == "f: 30 problems"
    assert lines[1:3] == ["  f:1:1: wrong -> later", "  f:2:1: wrong -> later"]
    assert lines[21:] == ["  ... and 10 more"]
    assert len(asked) == 20, "hints that nobody reads are not worked out"


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
    assert quoted(value) == text


def complaint(document: dict[str, object]) -> str:
    root, problems = from_plain({"data": {"source": "digits"}, **document}, Mark("f")), Problems("f")
    with pytest.raises(ValidationError) as caught:
        File.model_validate(to_plain(root))
    add_complaints(caught.value, File, root, problems)
    with pytest.raises(ConfigError) as error:
        problems.check()
    return str(error.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
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
        ({"resources": {"cpu": 1_000_000}}, "1000000 is out of range\n  -> must be at most 1024"),
        ({"resources": {"cpu": 0.5}}, "f key resources.cpu: expected a whole number, got 0.5"),
        ({"resources": {"cpu": math.nan}}, "f key resources.cpu: expected a whole number, got nan"),
        ({"resources": {"accelerator": "A100 80GB"}}, "f key resources.accelerator: 'A100 80GB' is no name"),
        ({"prune": {"exclude": [""]}}, "f key prune.exclude[0]: expected a word, got nothing"),
        ({"prune": {"params": {"a b": 1}}}, "f key prune.params.a b: 'a b' is no name"),
        ({"constraints": ["x"] * 21}, "f key constraints: 21 entries\n  -> give at most 20"),
    ],
)
def test_messages(document: dict[str, object], message: str) -> None:
    assert message in complaint(document)


def test_a_key_is_complained_of_once() -> None:
    root, problems = from_plain({"data": {"source": 1}}, Mark("f")), Problems("f")
    problems.add("known already", Mark("f"), key="data.source")
    with pytest.raises(ValidationError) as caught:
        File.model_validate(to_plain(root))
    add_complaints(caught.value, File, root, problems)
    assert len(problems.found) == 1


def bad_spaces() -> dict[str, tuple[str, str]]:
    """Each space of bad.txt by its name: its text, and its message without the file's name."""
    _, base, *parts = (Path(__file__).parent / "bad.txt").read_text(encoding="utf-8").split("\n\n")
    found = {}
    for part in parts:
        name, _, rest = part.removeprefix("== ").partition("\n")
        edits, mark, message = rest.partition("\n:")
        found[name] = changed(base.splitlines(), edits.splitlines()), mark[1:] + message.rstrip("\n")
    return found


def changed(lines: list[str], edits: list[str]) -> str:
    """The base with its lines changed, the last ones first, so that numbers stay right."""
    if edits[0].startswith("|"):
        return "\n".join([*(edit[2:] for edit in edits), ""])
    for edit in reversed(edits):
        number, how, *text = edit.split(" ", 2)
        at = int(number) - 1
        lines[at : at + (how != "+")] = text
    return "\n".join([*lines, ""])


BAD = bad_spaces()


@pytest.mark.parametrize("name", BAD)
def test_message(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, golden = BAD[name]
    Path("bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load("bad.yaml")
    assert "->" in golden
    expected = re.escape(golden).replace(r"\.\.\.", ".*")
    said = str(caught.value).replace("bad.yaml", "")
    assert re.fullmatch(expected, said), said


MUTANTS, FIRST = 300, 100_000


def test_a_mutant_is_a_space_or_refused(tmp_path: Path) -> None:
    file, ends = tmp_path / "space.yaml", []
    import pdsearch.models.torchvision  # noqa: F401 - loaded once, by the first file that names it

    for number in range(FIRST, FIRST + MUTANTS):
        file.write_bytes(mutant(number))
        start = time.process_time()
        ends.append(read(file))
        assert ends[-1] in ("accepted", "refused"), f"mutant {number}: {ends[-1]}"
        assert time.process_time() - start < 1, f"mutant {number} takes too long"
    assert 0.02 < ends.count("accepted") / MUTANTS < 0.5


def test_a_mutant_follows_from_its_number() -> None:
    assert mutant(7) == mutant(7)
    assert mutant(7) != mutant(8)
    assert mutant(7, seed=1) != mutant(7)


RUNGS = {"halving": {"min_epochs": 3}}


@pytest.mark.parametrize(
    ("sections", "key", "what"),
    [
        ({"student": {"model": "convnet_s", "init": "kept"}}, "student.init", "no weights of the teacher's"),
        (
            {"student": {"model": "from_teacher", "widths": [["a.weight", 3]]}},
            "student.widths",
            "determines the widths",
        ),
        (
            {"student": {"model": "convnet_s", "widths": [["a.weight"]]}},
            "student.widths[0]",
            "not a layer's width",
        ),
        ({"student": {"model": "convnet_s", "widths": [["a.weight", True]]}}, "student.widths[0]", "width: "),
        ({"student": {"model": "convnet_s", "widths": [["a.weight", 0]]}}, "student.widths[0]", "0 channels"),
        ({"student": {"model": "from_teacher", "start": {"method": 3}}}, "student.start", "not a pruning"),
        (
            {"search": {"trials": 2, "stop": RUNGS}, "objectives": [{"metric": "student.params"}]},
            "search.stop",
            "the same in every epoch",
        ),
        ({"resources": {"accelerator": "A100"}}, "resources.accelerator", "no GPU is asked for"),
        ({"search": {"trials": 2, "gpu_hours": 1.0}}, "search.gpu_hours", "no GPU is asked for"),
        ({"data": 3}, "data", "expected a mapping"),
        (
            {"space": {"distill.temperature": {"low": "1", "high": 4}}},
            "space.distill.temperature.low",
            "expected a number",
        ),
        ({"search": {"trials": 2, "ledger": "x.db"}}, "search.ledger", "write journal, sqlite:///FILE"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(sections: dict[str, Any], key: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        space(**sections)
    assert f"key {key}" in str(caught.value)
    assert what in str(caught.value)


def test_more_parameters_than_a_search_can_tell_apart_are_refused(author: Author) -> None:
    options = {f"teacher.options.o{i}": [1, 2] for i in range(65)}
    with pytest.raises(ConfigError) as caught:
        parse(document(options, teacher={"model": f"{author.write()}:Shaped"}))
    assert "key space: 65 searched parameters" in str(caught.value)


@pytest.mark.parametrize(
    ("searched", "sections", "decider"),
    [
        ({"student.init": ["fresh", "kept"]}, {}, "student.model"),
        ({"teacher.head": ["keep", "fresh"]}, {}, "teacher.checkpoint"),
        (
            {"prune.rewind_epoch": [0, 1]},
            {"prune": {"method": "magnitude", "at": "init", "ratio": 0.5}},
            "prune.at",
        ),
    ],
)
def test_what_is_searched_has_an_effect(
    searched: dict[str, Any], sections: dict[str, Any], decider: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        space(searched, **sections)
    assert f"has no effect where {decider} is" in str(caught.value)
