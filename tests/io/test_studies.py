"""Whoever names no study is told which there are."""

import json
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError, StorageError
from pdsearch.io.studies import begun, description, studies
from pdsearch.records.codec import encode


def about(name: str) -> dict[str, Any]:
    return {"format": 1, "study": name, "space": {}}


def made(root: Path, *names: str) -> None:
    for name in names:
        (root / name / "trials").mkdir(parents=True)
        (root / name / "study.json").write_text(json.dumps(about(name)))


def test_a_study_is_a_folder_with_its_description(tmp_path: Path) -> None:
    made(tmp_path, "one")
    (tmp_path / "artifacts").mkdir()
    assert studies(tmp_path) == [tmp_path / "one"]
    assert studies(tmp_path / "none") == []
    assert description(tmp_path / "one") == begun(tmp_path / "one")
    assert description(tmp_path / "one").study == "one"
    assert begun(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("work/runs", "there are: work/runs/cifar, work/runs/digits"),
        ("work/runs/digit", "did you mean work/runs/digits? there are: work/runs/cifar, work/runs/digits"),
        ("work/digits", "did you mean work/runs/digits? there are: work/runs/cifar, work/runs/digits"),
        ("elsewhere", "name the folder of a study: <storage>/<study>"),
    ],
)
def test_studies_nearby_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made(Path("work/runs"), "digits", "cifar")
    with pytest.raises(ConfigError, match="there is no study here") as caught:
        description(Path(asked))
    assert (caught.value.where, caught.value.hint) == (asked, hint)


def test_of_many_studies_some_are_named(tmp_path: Path) -> None:
    made(tmp_path, *(f"s{number}" for number in range(12)))
    with pytest.raises(ConfigError) as caught:
        description(tmp_path)
    assert str(caught.value.hint).count(str(tmp_path)) == 8
    assert str(caught.value.hint).endswith(", ...")


def with_space(**fields: Any) -> str:
    return json.dumps({**about("one"), "space": fields})


def test_a_field_of_another_version_is_kept(tmp_path: Path) -> None:
    space = {"constraints": ["student.params <= 9"], "later": {"a": [1]}}
    (tmp_path / "study.json").write_text(with_space(**space))
    found = description(tmp_path).space
    assert encode(found) == found.form == space


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (with_space(constraints=1), "space.constraints: expected a list, got 1"),
        (with_space(constraints=["student.params"]), "'student.params' is no constraint"),
        (with_space(space={"a": {"choices": [1], "when": "b"}}), "space.space.a.when: expected a mapping"),
        (
            json.dumps({**about("one"), "data": {"fingerprint": "", "commonest": -1}}),
            "data.commonest: expected",
        ),
        (
            json.dumps({**about("one"), "data": {"fingerprint": "", "read": [1]}}),
            r"data.read\[0\]: expected a text",
        ),
    ],
)
def test_a_description_is_read_whole_before_it_is_used(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(StorageError, match=what):
        description(tmp_path)


@pytest.mark.parametrize(
    "content", ["", '{"format": 1, "spa', "[]", "null", "{}", '{"study": "one"}', "[" * 10**5]
)
def test_a_torn_description_is_one_error_that_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content)
    for read in (begun, description):
        with pytest.raises(StorageError) as caught:
            read(tmp_path)
        assert caught.value.where == str(tmp_path / "study.json")
        assert "remove the file and run the study again" in str(caught.value.hint)
