import os
import re
from pathlib import Path

import pytest

from pdsearch.config import load, parse
from pdsearch.errors import ConfigError
from tests.config.documents import document
from tests.config.parts import CATALOG

GOOD = """
data: {source: digits}
teacher: {model: convnet_l}
student: {model: from_teacher}
train:
  teacher: {epochs: 2, lr: 0.1, weight_decay: 5e-4}
  distill: &same {epochs: 3, lr: 1e-1}
  recover: *same
confirm: off
search: {stop: off}
"""


def test_a_file_is_a_study_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "my-space.v2.yaml"
    path.write_text(GOOD, encoding="utf-8")
    found = load(path, catalog=CATALOG)
    assert found.study == "my-space.v2"
    assert (found.confirm, found.search.stop) == (None, None)
    assert found.resolve({}).teacher.recipe.weight_decay == 5e-4
    assert load(str(path), ["study=other"], catalog=CATALOG).study == "other"


def test_a_file_whose_name_is_no_study_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "my space.yaml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match="'my space' is no name"):
        load(path, catalog=CATALOG)
    path.write_text(f"study: mine\n{GOOD}", encoding="utf-8")
    assert load(path, catalog=CATALOG).study == "mine"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="a folder"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load("a\0b.yaml")


def test_a_document_is_left_as_it_was() -> None:
    given = document()
    parse(given, ["search.trials=3"], catalog=CATALOG)
    assert given == document()


def test_whatever_stands_in_a_document_is_refused_in_words() -> None:
    for value in (object(), float("nan"), b"bytes", {1: 2}, None, 10**30, ()):
        with pytest.raises(ConfigError, match="space key"):
            parse(document(search={"trials": value}), catalog=CATALOG)
    with pytest.raises(ConfigError, match="space key space"):
        parse(document({"teacher.seed": float("inf")}), catalog=CATALOG)


@pytest.mark.parametrize("kind", ["FIFO", "link to a device"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "space.yaml"
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=r"is a (FIFO|device), not a file"):
        load(path)


@pytest.mark.parametrize(
    ("asked", "there", "hint"),
    [
        ("digts.yaml", ("digits.yaml", "other.yaml"), "did you mean digits.yaml?"),
        ("digits.yml", ("sub/digits.yaml",), "pdsearch init"),
        (
            "sub/something.yaml",
            ("sub/digits.yaml", "search_spaces/b.yaml"),
            "there are: search_spaces/b.yaml, sub/digits.yaml",
        ),
        ("b.yaml", ("search_spaces/b.yaml",), "did you mean search_spaces/b.yaml?"),
    ],
)
def test_a_missing_file_is_told_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, there: tuple[str, ...], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=re.escape(hint)):
        load(asked)
