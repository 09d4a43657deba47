"""A study is known again by its space, images, weights and own code, wherever they lie; its budget may change."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError
from pdsearch.search.identity import identify
from pdsearch.search.resolved import own_code
from tests.own_code import Author
from tests.search.scripted_trials import DESCRIBE, DOCUMENT, searching, space

FOUND = replace(DESCRIBE, checkpoints={"t.pth": "a" * 64}, code={"mine:f": "b" * 64})


def begun(folder: Path) -> dict[str, Any]:
    """Write what a study is; return what was written."""
    identify(space(folder), folder, FOUND, None)
    about: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return about


def test_what_it_is_is_written_once(tmp_path: Path) -> None:
    about = begun(tmp_path)
    content = (tmp_path / "study.json").read_bytes()
    assert (about["study"], about["space"]) == ("small", space(tmp_path).identity())
    assert about["data"] == {"fingerprint": FOUND.fingerprint}
    assert (about["checkpoints"], about["code"]) == (["a" * 64], {"mine:f": "b" * 64})
    assert about["precision"] == FOUND.precision
    identify(space(tmp_path), tmp_path, FOUND, about)
    assert (tmp_path / "study.json").read_bytes() == content


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "recipe": (
        {"train": {**DOCUMENT["train"], "distill": {"epochs": 5, "lr": 0.1}}},
        "train.distill.epochs: 4 -> 5",
    ),
    "seed": ({"search": searching(seed=1)}, "search.seed: 0 -> 1"),
    "teacher": ({"teacher": {"model": "convnet_m", "seed": 0}}, "teacher.model: convnet_s -> convnet_m"),
    "range": ({"space": {"distill.temperature": {"low": 1, "high": 30}}}, "space.prune.method"),
    "objective": (
        {"objectives": [{"metric": "student.params", "goal": "minimize"}]},
        "student.params",
    ),
    "constraint": ({"constraints": ["student.params <= 10"]}, "constraints"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_space_is_refused_with_the_difference(tmp_path: Path, name: str) -> None:
    about = begun(tmp_path)
    sections, difference = CHANGES[name]
    with pytest.raises(ConfigError, match="another study: name") as error:
        identify(space(tmp_path, **sections), tmp_path, FOUND, about)
    assert difference in str(error.value)
    assert error.value.where == str(tmp_path)


def test_other_files_are_refused_all_in_one_message(tmp_path: Path) -> None:
    about = begun(tmp_path)
    other = replace(FOUND, fingerprint="e" * 64, checkpoints={"t.pth": "c" * 64}, code={"mine:f": "d" * 64})
    with pytest.raises(ConfigError) as error:
        identify(space(tmp_path), tmp_path, other, about)
    assert error.value.what.splitlines()[1:] == [
        "    teacher.checkpoint: not the weights the study began with",
        "    data: the images are not those the study began with",
        "    mine:f: its file is not the one the study began with",
    ]


def test_files_under_other_names_are_the_same(tmp_path: Path) -> None:
    about = begun(tmp_path)
    identify(space(tmp_path), tmp_path, replace(FOUND, checkpoints={"moved/t.pth": "a" * 64}), about)


def test_a_budget_is_no_part_of_what_it_is(tmp_path: Path) -> None:
    about = begun(tmp_path)
    more = space(tmp_path, search=searching(trials=9, timeout="10h"), resources={"cpu": 2, "gpu": 0})
    identify(more, tmp_path, FOUND, about)


def test_what_an_older_study_did_not_note_is_not_missed(tmp_path: Path) -> None:
    about = begun(tmp_path)
    older = {name: value for name, value in about.items() if not name.startswith(("code", "checkpoints"))}
    identify(space(tmp_path), tmp_path, replace(FOUND, checkpoints={}), older)


def test_the_folders_of_own_code_are_noted(tmp_path: Path, author: Author) -> None:
    named = space(tmp_path, distill={"loss": f"{author.write()}:squared"}, space={}, search={"trials": 1})
    identify(named, tmp_path, replace(FOUND, code=own_code(named)), None)
    about = json.loads((tmp_path / "study.json").read_text())
    assert about["code_folders"] == dict.fromkeys(about["code"], str(tmp_path))
    assert [name.rpartition(":")[2] for name in about["code"]] == ["squared"]
