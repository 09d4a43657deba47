"""What a study is: its space, its data, its own code, and the keys that follow."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.config import Space
from pdsearch.errors import ConfigError
from pdsearch.io.studies import Accept, description
from pdsearch.pipeline.keys import check_own_code, student_key
from pdsearch.protocol import StudentFacts
from pdsearch.records.study_record import StudyData, StudyRecord
from pdsearch.search.confirmation.finalists import finalist_of
from pdsearch.search.confirmation.jobs import alone, unpruned_spec
from pdsearch.search.identity import changes_of, identify
from pdsearch.search.optuna_backend import rebuild
from pdsearch.search.preflight import opening
from pdsearch.search.resolved import Description, own_code_hashes, versions
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import check_invariants
from pdsearch.specs import StudentSpec, TrialSpec
from pdsearch.user_code import source_hash
from tests.own_code import Author
from tests.records.trial_records import finished
from tests.search.scripted_trials import DESCRIBE, DOCUMENT, Watching, play, searching, space
from tests.some import some

FOUND = replace(DESCRIBE, checkpoints={"t.pth": "a" * 64}, code={"mine:f": "b" * 64})


FIELDS = {
    "format",
    "study",
    "space",
    "precision",
    "data",
    "checkpoints",
    "code",
    "code_folders",
    "versions",
    "created_at",
}
"""All that a study.json holds, by docs/records.md."""


def begun(folder: Path) -> StudyRecord:
    """Write what a study is; return what was written."""
    identify(space(folder), folder, FOUND)
    return description(folder)


def check(found_in: Space, folder: Path, found: Description, began: StudyRecord) -> None:
    """Refuse another space than the study began with."""
    changes_of(found_in, folder, found, began).check(folder, Accept())


def test_what_it_is_is_written_once(tmp_path: Path) -> None:
    about = begun(tmp_path)
    content = (tmp_path / "study.json").read_bytes()
    written = json.loads(content)
    assert written.keys() == FIELDS
    assert written["space"] == about.space.form == space(tmp_path).identity()
    assert about.data == StudyData(FOUND.fingerprint)
    assert (about.study, about.checkpoints, about.code) == ("small", ("a" * 64,), {"mine:f": "b" * 64})
    assert about.precision == FOUND.precision
    check(space(tmp_path), tmp_path, FOUND, about)


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
        check(space(tmp_path, **sections), tmp_path, FOUND, about)
    assert difference in str(error.value)
    assert error.value.where == str(tmp_path)


def test_other_files_are_refused_all_in_one_message(tmp_path: Path) -> None:
    about = begun(tmp_path)
    other = replace(FOUND, fingerprint="e" * 64, checkpoints={"t.pth": "c" * 64}, code={"mine:f": "d" * 64})
    with pytest.raises(ConfigError) as error:
        check(space(tmp_path), tmp_path, other, about)
    assert error.value.what.splitlines()[1:] == [
        "    teacher.checkpoint: not the weights the study began with",
        "    data: the images are not those the study began with",
        "    mine:f: its file is not the one the study began with",
    ]


def test_files_under_other_names_are_the_same(tmp_path: Path) -> None:
    about = begun(tmp_path)
    check(space(tmp_path), tmp_path, replace(FOUND, checkpoints={"moved/t.pth": "a" * 64}), about)


def test_what_an_older_study_did_not_note_is_not_missed(tmp_path: Path) -> None:
    about = begun(tmp_path)
    older = StudyRecord(study=about.study, space=about.space, precision=about.precision, data=about.data)
    check(space(tmp_path), tmp_path, replace(FOUND, checkpoints={}), older)


def test_versions_name_what_could_matter() -> None:
    found = versions()
    assert {"python", "torch", "optuna", "ray", "numpy"} <= found.keys()


def test_a_checkpoint_gets_its_hash_and_a_place_that_every_worker_finds(tmp_path: Path) -> None:
    asked = space(tmp_path, teacher={"model": "convnet_s", "checkpoint": "a.pth"})
    describe = Description("a" * 64, "fp32", checkpoints={"a.pth": "b" * 64})
    teacher = describe.complete(asked.resolve(asked.defaults())).teacher
    assert teacher.fingerprint == "b" * 64
    assert teacher.checkpoint == str(Path.cwd() / "a.pth")


def test_images_are_recorded_where_every_folder_finds_them_and_keys_stay(tmp_path: Path) -> None:
    asked = space(tmp_path, data={"source": "cifar10", "root": "images"})
    spec = asked.resolve(asked.defaults())
    describe = Description("a" * 64, "fp32")
    found = describe.complete(spec)
    assert found.data.root == str(Path.cwd() / "images")
    assert student_key(found) == student_key(replace(found, data=replace(found.data, root="images")))


def test_published_weights_get_their_lasting_name(tmp_path: Path) -> None:
    model = {"model": "torchvision/resnet50", "options": {"weights": "DEFAULT"}}
    asked = space(tmp_path, teacher=model, student=model)
    spec = Description("a" * 64, "fp32").complete(asked.resolve(asked.defaults()))
    assert spec.teacher.options == spec.student.options == (("weights", "IMAGENET1K_V2"),)


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
    assert own_code_hashes(named) == {name: source_hash(name) for name in (loss, model, method)}
    assert own_code_hashes(space(tmp_path)) == {}


def test_a_study_keeps_the_hashes(author: Author, tmp_path: Path) -> None:
    name = f"{author.write()}:flat"
    own = space(tmp_path, student={"model": name})
    with open_as_driver(own, Watching()) as study:
        completed = study.describe.complete(own.resolve(own.defaults()))
    assert completed.student.code == source_hash(name)
    assert (completed.teacher.code, completed.distill.code) == ("", "")
    about = json.loads((tmp_path / "small" / "study.json").read_text())
    assert about["code"] == {name: source_hash(name)}
    assert about["code_folders"] == {name: str(author.folder)}


def completed(author: Author, folder: Path, student: str) -> TrialSpec:
    """A trial of one's own teacher, loss and student; X is the module's name."""
    module = author.write()
    parts = {"teacher": {"model": f"{module}:Shaped"}, "distill": {"loss": f"{module}:squared"}}
    searched = {**DOCUMENT["space"], "distill.weight": [1.0, 2.0], "prune.method": [f"{module}:sized"]}
    searched["prune.ratio"] = 0.2
    del searched["distill.temperature"]
    own = space(folder, student={"model": student.replace("X", module)}, space=searched, **parts)
    with open_as_driver(own, Watching()) as study:
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
    assert some(spec.prune).code == source_hash(some(spec.prune).method)
    dense, hard = unpruned_spec(spec, shape), alone(spec, shape)
    assert (dense.distill.code, hard.distill.code) == (source_hash(spec.distill.loss), "")
    for trial in (spec, dense, hard):
        check_own_code(trial)


WIDER = Accept(wider=True)
MORE: dict[str, Any] = {
    "space": {
        "prune.method": ["none", "magnitude", "taylor"],
        "prune.ratio": {"choices": [0.2, 0.36, 0.5], "when": {"prune.method": ["magnitude", "taylor"]}},
        "distill.temperature": {"low": 1, "high": 40, "log": True},
    },
    "search": searching(trials=14),
}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "check_trials", lambda *_: None)


def run(folder: Path, accept: Accept = Accept(), **sections: Any) -> Any:  # noqa: B008
    with open_as_driver(space(folder, **sections), Watching(), accept=accept) as study:
        play(study.scheduler)
        return study.scheduler


def test_a_wider_space_goes_on_with_all_that_finished(tmp_path: Path) -> None:
    first = run(tmp_path)
    before = dict(first.records.finished)
    with pytest.raises(
        ConfigError, match=r"prune.method.choices.*-> \['none', 'magnitude', 'taylor'\]"
    ) as error:
        run(tmp_path, **MORE)
    assert "pdsearch extend" in str(error.value.hint)
    with open_as_driver(space(tmp_path, **MORE), Watching(), accept=WIDER) as study:
        trials = study.scheduler.search.study.get_trials()
        assert study.scheduler.search.finished == 6
        assert {str(t.distributions["distill.temperature"]) for t in trials if t.params} == {
            "FloatDistribution(high=40.0, log=True, low=1.0, step=None)"
        }
        assert [t.values for t in trials] == [t.values for t in first.search.study.get_trials()]
    scheduler = run(tmp_path, **MORE)
    assert scheduler.search.finished == 14
    assert before.items() <= scheduler.records.finished.items()
    new = [r for name, r in scheduler.records.finished.items() if name not in before and r.kind == "search"]
    assert any(r.params["prune.method"] == "taylor" or r.params["distill.temperature"] > 20 for r in new)
    (change,) = description(tmp_path / "small").changes
    assert "space.distill.temperature.high: 20.0 -> 40.0" in change.lines
    assert any(row.confirmed for row in rank_teachers(read_study(tmp_path / "small")).rows)
    assert check_invariants(tmp_path / "small") == []
    with pytest.raises(ConfigError, match="wider, not narrower"):
        run(tmp_path)


def test_an_extension_that_is_cut_off_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = len(run(tmp_path).records.finished)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "_retold", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, WIDER, **MORE)
    with open_as_driver(space(tmp_path, **MORE), Watching()) as study:
        assert study.scheduler.search.finished == 6
        assert len(study.scheduler.records.finished) == finished
    assert check_invariants(tmp_path / "small") == []


def test_a_space_that_was_searched_through_goes_on_with_a_new_choice(tmp_path: Path) -> None:
    few: dict[str, Any] = {"space": {"distill.temperature": [1.0, 4.0]}, "prune": {"method": "none"}}
    assert run(tmp_path, **few).search.exhausted
    scheduler = run(tmp_path, WIDER, **{**few, "space": {"distill.temperature": [1.0, 4.0, 8.0]}})
    assert scheduler.search.finished == 3


def test_a_value_that_moves_under_trials_so_far_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    moved = {
        **DOCUMENT["space"],
        "prune.ratio": {"choices": [0.2, 0.36, 0.5], "when": {"prune.method": ["magnitude"]}},
    }
    with pytest.raises(ConfigError, match="search-00000 would be another trial"):
        run(tmp_path, WIDER, space=moved, distill={"loss": "kd", "alpha": 0.7})
