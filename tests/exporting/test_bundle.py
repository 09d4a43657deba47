"""What is exported loads, tells its numbers, and runs again to the same bits."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.artifacts import Store
from pdsearch.config import load, parse
from pdsearch.errors import ConfigError, PdsearchError, StorageError
from pdsearch.exporting import bundle
from pdsearch.exporting.bundle import export_study
from pdsearch.exporting.student_file import (
    STUDENT_FILE,
    load_preprocess,
    load_student,
    load_teacher,
    read_card,
)
from pdsearch.io.record_files import write_once
from pdsearch.models import build
from tests.analysis.synthetic_studies import record, write_study
from tests.exporting.conftest import run, small
from tests.own_code import Author
from tests.some import some

NAMES = ["card.md", "config.yaml", "result.json", STUDENT_FILE]


def test_the_result_is_the_rankings_best(study: Path, exported: Path) -> None:
    best = rank_teachers(read_study(study)).top(1)[0]
    result = json.loads((exported / "result.json").read_text())
    assert (result["label"], result["rank"], result["study"]) == (best.label, 1, "small")
    assert result["best"]["key"] == best.best.key == read_card(exported).key


def test_the_student_reaches_its_test_accuracy(study: Path, exported: Path) -> None:
    store = Store(study.parent / "artifacts")
    ((_, key),) = store.entries("data")
    entry = some(store.find("data", key))
    data = load_file(entry.path("tensors.safetensors"))
    student, preprocess = load_student(exported), load_preprocess(exported)
    with torch.no_grad():
        right = student(preprocess(data["test.images"])).argmax(1) == data["test.labels"]
    result = json.loads((exported / "result.json").read_text())
    share = float(right.float().mean())
    assert share == pytest.approx(result["best"]["test_accuracy"], abs=1e-6)
    assert result["exported"][STUDENT_FILE]["test"] == pytest.approx(share, abs=1e-6)
    told = f"{100 * result['best']['val_accuracy']:.2f} | {100 * share:.2f} |"
    card = (exported / "card.md").read_text()
    assert f"| `{STUDENT_FILE}`, measured in fp32 | {told}" in card
    assert f"| this student when it was trained, in fp32 | {told}" in card


def test_the_configuration_runs_again_to_the_same_bits(exported: Path, tmp_path: Path) -> None:
    folder = run(load(exported / "config.yaml", [f"storage={tmp_path}"]))
    (row,) = [row for row in read_study(folder).rows if row.kind == "search"]
    assert row.key == read_card(exported).key
    entry = some(Store(tmp_path / "artifacts").find("student", row.key))
    again, ours = load_file(entry.path("tensors.safetensors")), load_file(exported / STUDENT_FILE)
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], ours[name]) for name in ours)


@pytest.mark.parametrize("method", ["magnitude", "filter_l2"])
def test_the_teacher_is_exported_as_it_taught(study: Path, tmp_path: Path, method: str) -> None:
    """Its weights and its shape, rebuilt without the study; removed weights are zeros, removed channels are gone."""
    channels = {"prune": {"method": method, "schedule": "one_shot"}, "student": {"model": "from_teacher"}}
    document = {**small(tmp_path), **channels}
    folder = study if method == "magnitude" else run(parse(document))
    rows = rank_teachers(read_study(folder)).top(9)
    exported = export_study(folder, tmp_path / "out", top=9, teacher=True)
    best, one = next(
        (r.best, e) for r, e in zip(rows, exported, strict=True) if r.best.prune_method == method
    )
    entry = some(Store(folder.parent / "artifacts").find("prune", some(best.teacher_key)))
    stored = load_file(entry.path("tensors.safetensors"))
    teacher = load_teacher(one.folder)
    own = {name: value for name, value in stored.items() if not name.startswith("mask/")}
    assert all(torch.equal(value, own[name]) for name, value in teacher.state_dict().items())
    assert (len(own["classifier.weight"][0]) < 16) == (method == "filter_l2")
    card = (one.folder / "card.md").read_text()
    assert f"`teacher.safetensors` holds `convnet_s` as it taught: {best.teacher_params:,} weights" in card
    assert 'teacher = load_teacher(".")' in card
    assert teacher(load_preprocess(one.folder)(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))).shape == (2, 10)


SCALED = """
import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self, *, num_classes, channels, image_size):
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, 12, 3), nn.Conv2d(12, 8, 3)
        self.last = nn.Linear(8, num_classes)
        self.register_buffer("scale", 1 + torch.rand(1, 12, 1, 1), persistent=False)

    def forward(self, images):
        maps = self.second(torch.relu(self.first(images)) * self.scale)
        return self.last(torch.relu(maps).mean((2, 3)))
"""


def test_constants_that_no_state_dict_holds_are_those_of_the_channels_left(author: Author) -> None:
    """Drawn by the builder, one a channel: an export that rebuilt them would scale other channels than were trained."""
    model = f"{author.write(SCALED)}:Scaled"
    document = {
        **small(author.folder / "runs"),
        "teacher": {"model": model, "seed": 3},
        "student": {"model": "from_teacher", "init": "kept"},
        "prune": {"method": "filter_l2", "schedule": "one_shot", "ratio": 0.5},
        "search": {"trials": 1},
    }
    del document["confirm"], document["space"]
    folder = run(parse(document))
    (one,) = export_study(folder, author.folder / "out", teacher=True)
    store = Store(folder.parent / "artifacts")
    ((_, key),) = store.entries("prune")
    entry = some(store.find("prune", key))
    kept: Any = entry.meta["kept"]
    whole = build(model, num_classes=10, input_shape=(1, 8, 8), seed=3)
    left = whole.get_buffer("scale")[:, kept["first.weight"]]
    assert 0 < left.shape[1] < 12
    for network in (load_student(one.folder), load_teacher(one.folder)):
        assert torch.equal(network.get_buffer("scale"), left)
    code = (one.folder / "card.md").read_text()
    assert "constant/" not in code, "its narrowed layers need pdsearch"


def test_an_existing_folder_is_replaced_only_by_force(study: Path, tmp_path: Path) -> None:
    (one,) = export_study(study, tmp_path)
    folder = one.folder
    (folder / "mine").write_text("a note")
    with pytest.raises(ConfigError, match="there already"):
        export_study(study, tmp_path)
    assert (folder / "mine").exists()
    assert export_study(study, tmp_path, force=True) == [one]
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_student_whose_file_rebuilds_another_network_is_refused(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "accuracy_of", lambda *_: {"val": 1.0})
    with pytest.raises(
        PdsearchError, match=r"rebuilt from its file, has 100\.00 % of the validation images right"
    ):
        export_study(study, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_artifact_leaves_nothing(study: Path, tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "data").mkdir(parents=True)
    with pytest.raises(
        StorageError, match=r"the student artifact \w+ of .* is missing or broken\n  -> move trials/"
    ):
        export_study(study, tmp_path / "out", artifacts=tmp_path / "artifacts")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_copied_study_is_told_to_name_the_artifacts(study: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "small"
    shutil.copytree(study, copy)
    with pytest.raises(StorageError, match=r"copies/artifacts: no artifacts lie here\n  -> .*--artifacts"):
        export_study(copy, tmp_path / "out")
    assert export_study(copy, tmp_path / "out", artifacts=study.parent / "artifacts")


def test_a_real_records_numbers_reach_its_row(study: Path) -> None:
    """The names that stages write are the names that analysis reads."""
    rows = read_study(study).rows
    (searched,) = [row for row in rows if row.kind == "search"]
    assert (searched.epochs, searched.epochs_planned, searched.epochs_distill, searched.epochs_prune) == (
        1,
        1,
        1,
        1,
    )
    assert (searched.prune_method, searched.prune_ratio, searched.prune_rounds) == ("magnitude", 0.5, 1)
    assert searched.teacher_sparsity == pytest.approx(0.5, abs=0.01)
    assert sum(row.epochs_teacher for row in rows) <= 1
    assert None not in (searched.student_params, searched.student_flops)
    confirmed = [row for row in rows if row.kind == "confirm"]
    assert all(row.test_accuracy is not None for row in confirmed)
    assert any(row.unpruned_config and row.alone_config for row in confirmed)


def test_several_teachers_lie_in_order(study: Path, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path, top=9)
    assert len(exported) == 2
    assert [one.folder.name[:2] for one in exported] == ["1-", "2-"]


def test_any_complete_trial_is_exported(study: Path, tmp_path: Path) -> None:
    found = read_study(study)
    searched, *_ = [row for row in found.rows if row.kind == "search"]
    alone = next(row for row in found.rows if row.kind == "confirm" and row.teacher_config is None)
    exported = export_study(study, tmp_path, trials=[alone.id, searched.id])
    assert [one.folder.name for one in exported] == [
        f"{alone.id}-student-alone",
        f"{searched.id}-convnet_s-magnitude-50",
    ]
    assert [read_card(one.folder).key for one in exported] == [alone.key, searched.key]
    result = json.loads((exported[1].folder / "result.json").read_text())
    assert (result["seeds"], result["rank"]) == (1, 1), "its configuration is confirmed"


def test_a_member_of_a_front_is_exported_as_the_one_student_that_it_is(tmp_path: Path) -> None:
    items = [
        record("magnitude", 0.5, kind="search"),
        record("magnitude", 0.7, kind="search", state="stopped", number=1),
    ]
    for item in items:
        item["student"]["artifact"] = None
    write_study(tmp_path / "study", items)
    whole, stopped = (str(item["id"]) for item in items)
    (one,) = export_study(tmp_path / "study", tmp_path / "out", trials=[whole])
    assert "Not confirmed" in (one.folder / "card.md").read_text()
    with pytest.raises(ConfigError, match=f"{stopped}: is stopped"):
        export_study(tmp_path / "study", tmp_path / "out", trials=[stopped])
    with pytest.raises(ConfigError, match="did you mean search-0000"):
        export_study(tmp_path / "study", tmp_path / "out", trials=[whole[:-1]])


def test_a_trial_that_was_stopped_is_exported_without_weights(tmp_path: Path) -> None:
    item = record("magnitude", 0.5, kind="search", state="stopped")
    item["student"]["artifact"] = None
    write_study(tmp_path / "study", [item])
    (one,) = export_study(tmp_path / "study", tmp_path / "out")
    assert not (one.folder / STUDENT_FILE).exists()
    text = (one.folder / "card.md").read_text()
    assert "Not confirmed" in text
    assert "No trained student lies here" in text


def test_a_study_without_trials_has_nothing_to_export(tmp_path: Path) -> None:
    write_once(tmp_path / "study.json", {"format": 1, "study": "empty", "space": {}})
    with pytest.raises(ConfigError, match="no finished trial"):
        export_study(tmp_path, tmp_path / "out")
