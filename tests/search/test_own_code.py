"""Is a study bound to the files of the code that its space names?"""

import json
from pathlib import Path

import pytest

from pdsearch.dotted import source_hash
from pdsearch.errors import ConfigError
from pdsearch.search.own_code import own_code
from pdsearch.search.study import open_study
from tests.own_code import Author, author
from tests.search.played import DOCUMENT, Watching, space

__all__ = ["author"]


def test_what_is_fixed_and_what_is_searched_is_known_by_its_file(author: Author, tmp_path: Path) -> None:
    module = author.write()
    model, loss = f"{module}:flat", f"{module}:alone"
    searched = {**DOCUMENT["space"], "distill.loss": ["kd", loss]}
    searched["distill.temperature"] = {**searched["distill.temperature"], "when": {"distill.loss": ["kd"]}}
    named = space(tmp_path, student={"model": model}, distill={}, space=searched)
    assert own_code(named) == {name: source_hash(name) for name in (loss, model)}
    assert own_code(space(tmp_path)) == {}


def test_a_study_keeps_the_hashes_and_refuses_another_file(author: Author, tmp_path: Path) -> None:
    name = f"{author.write()}:flat"
    own = space(tmp_path, student={"model": name})
    with open_study(own, Watching()) as study:
        completed = study.describe.complete(own.resolve(own.defaults()))
    assert completed.student.code == source_hash(name)
    assert (completed.teacher.code, completed.distill.code) == ("", "")
    path = tmp_path / "small" / "study.json"
    about = json.loads(path.read_text())
    assert about["code"] == {name: source_hash(name)}
    with open_study(own, Watching()) as study:
        assert study.resumed
    path.write_text(json.dumps({**about, "code": {name: "0" * 64}}))
    with (
        pytest.raises(ConfigError, match=f"{name}: its file is not the one the study began with"),
        open_study(own, Watching()),
    ):
        pass
