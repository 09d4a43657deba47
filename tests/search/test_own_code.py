"""A study is bound to the files of the code that its space names."""

import json
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.pipeline.trial import check_own_code
from pdsearch.search.confirmation.finalists import finalist_of
from pdsearch.search.confirmation.jobs import alone, unpruned
from pdsearch.search.resolved import own_code
from pdsearch.search.study import open_study
from pdsearch.specs import StudentSpec, TrialSpec
from pdsearch.trial_record import StudentFacts
from pdsearch.user_code import source_hash
from tests.own_code import Author
from tests.search.scripted_trials import DOCUMENT, Watching, space
from tests.trial_records import finished


def test_what_is_fixed_and_what_is_searched_is_known_by_its_file(author: Author, tmp_path: Path) -> None:
    module = author.write()
    model, method, loss = f"{module}:flat", f"{module}:sized", f"{module}:alone"
    searched = {
        **DOCUMENT["space"],
        "distill.loss": ["kd", loss],
        "prune.method": ["none", "magnitude", method],
    }
    searched["prune.ratio"] = {"choices": [0.2], "when": {"prune.method": ["magnitude", method]}}
    searched["distill.temperature"] = {**searched["distill.temperature"], "when": {"distill.loss": ["kd"]}}
    named = space(tmp_path, student={"model": model}, distill={}, space=searched)
    assert own_code(named) == {name: source_hash(name) for name in (loss, model, method)}
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
    assert about["code_folders"] == {name: str(author.folder)}
    with open_study(own, Watching()) as study:
        assert study.resumed
    path.write_text(json.dumps({**about, "code": {name: "0" * 64}}))
    with (
        pytest.raises(ConfigError, match=f"{name}: its file is not the one the study began with"),
        open_study(own, Watching()),
    ):
        pass


def completed(author: Author, folder: Path, student: str) -> TrialSpec:
    """A trial of one's own teacher, loss and student; X is the module's name."""
    module = author.write()
    parts = {"teacher": {"model": f"{module}:Shaped"}, "distill": {"loss": f"{module}:squared"}}
    searched = {**DOCUMENT["space"], "distill.weight": [1.0, 2.0], "prune.method": [f"{module}:sized"]}
    searched["prune.ratio"] = 0.2
    del searched["distill.temperature"]
    own = space(folder, student={"model": student.replace("X", module)}, space=searched, **parts)
    with open_study(own, Watching()) as study:
        return study.describe.complete(own.resolve(own.defaults()))


@pytest.mark.parametrize("student", ["X:flat", "from_teacher", "convnet_s"])
def test_what_a_trial_is_compared_with_keeps_the_code_it_still_uses_and_no_other(
    author: Author, tmp_path: Path, student: str
) -> None:
    spec = completed(author, tmp_path, student)
    built = spec.teacher.model if student == "from_teacher" else spec.student.model
    record = finished(spec=spec, student=StudentFacts(model=built))
    shape = finalist_of(record).shape
    assert shape == StudentSpec(built, code=source_hash(built) if ":" in built else "")
    assert spec.prune is not None
    assert spec.prune.code == source_hash(spec.prune.method)
    dense, hard = unpruned(spec, shape), alone(spec, shape)
    assert (dense.distill.code, hard.distill.code) == (source_hash(spec.distill.loss), "")
    for trial in (spec, dense, hard):
        check_own_code(trial)
