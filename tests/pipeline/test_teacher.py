"""Dense teachers: trained once, or loaded; and the training of a stage."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsearch.errors import ConfigError, DataError, StorageFullError
from pdsearch.models import build, file_hash
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import dense_key
from pdsearch.pipeline.networks import blank, measure_accuracy
from pdsearch.pipeline.stage_training import Fitting, achieved, fit_teacher
from pdsearch.pipeline.teacher import dense_teacher
from pdsearch.pipeline.trial import run_trial
from pdsearch.protocol import Progress, Report
from pdsearch.specs import TrialSpec
from pdsearch.training.checkpoint import Checkpoint
from tests.pipeline.digits import ALONE, DENSE, RECIPE, counted, data, distilled, finish, site


def test_it_is_trained_once_for_all_trials(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    said, network = finish(dense_teacher(DENSE, data(DENSE, here), here))
    assert [(event.stage, event.note, event.epoch, event.epochs) for event in said] == [
        ("teacher", "convnet_s", epoch, 2) for epoch in (1, 2)
    ]
    assert (network.meta["val_accuracy"], network.meta["epochs"]) == (said[-1].val_accuracy, 2)
    other = site(tmp_path)
    trial = distilled(DENSE, seed=5)
    finish(dense_teacher(trial, data(trial, other), other))
    assert trained == [0, 1]
    assert here.account.epochs == {"teacher": 2}
    assert other.account.epochs == {}
    assert (network.key, network.mask) == (dense_key(DENSE), None)


def outside(path: Path, **changes: torch.Tensor) -> TrialSpec:
    """A trial whose teacher is read from a file, made here of a random network."""
    model = build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=7)
    torch.save({"net": {**model.state_dict(), **changes}, "epoch": 3}, path)
    teacher = replace(DENSE.teacher, checkpoint=str(path), fingerprint=file_hash(path))
    return replace(DENSE, teacher=teacher)


def test_a_teacher_from_a_file_is_measured_and_not_trained(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    spec = outside(tmp_path / "teacher.pth")
    images = data(spec, here)
    said, network = finish(dense_teacher(spec, images, here))
    assert (trained, network.meta["epochs"]) == ([], 0)
    assert Progress("teacher", "convnet_s from teacher.pth") in said
    expected = build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=7)
    assert all(
        torch.equal(tensor, network.model.state_dict()[name])
        for name, tensor in expected.state_dict().items()
    )
    assert network.meta["val_accuracy"] == measure_accuracy(network.model, images, "val", here, "fp32")


def test_a_fresh_head_is_trained_from_the_rest_of_the_file(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    kept = outside(
        tmp_path / "teacher.pth", **{"classifier.bias": torch.ones(3), "classifier.weight": torch.ones(3, 16)}
    )
    spec = replace(kept, teacher=replace(kept.teacher, head="fresh", recipe=DENSE.teacher.recipe))
    assert dense_key(spec) != dense_key(kept)
    _, network = finish(dense_teacher(spec, data(spec, here), here))
    assert len(trained) == network.meta["epochs"] == DENSE.teacher.recipe.epochs


def test_a_file_that_is_sparse_already_says_so(here: WorkerContext, tmp_path: Path) -> None:
    weights = build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=7).state_dict()
    zero = {name: torch.zeros_like(t) for name, t in weights.items() if name == "classifier.weight"}
    spec = outside(tmp_path / "teacher.pth", **zero)
    _, network = finish(dense_teacher(spec, data(spec, here), here))
    total = sum(t.numel() for name, t in weights.items() if t.dim() > 1)
    assert network.meta["sparsity"] == zero["classifier.weight"].numel() / total


def test_its_content_is_in_the_key_and_its_place_is_not(tmp_path: Path) -> None:
    spec = outside(tmp_path / "teacher.pth")
    moved = replace(spec, teacher=replace(spec.teacher, checkpoint="elsewhere.pth"))
    other = replace(spec, teacher=replace(spec.teacher, fingerprint="0" * 64))
    assert dense_key(moved) == dense_key(spec)
    assert len({dense_key(spec), dense_key(other), dense_key(DENSE)}) == 3


def test_a_file_that_does_not_fit_is_refused(here: WorkerContext, tmp_path: Path) -> None:
    spec = outside(tmp_path / "teacher.pth", extra=torch.ones(1))
    with pytest.raises(
        ConfigError, match=r"teacher\.pth: the checkpoint does not fit.*\n.*1 unexpected: extra"
    ):
        finish(dense_teacher(spec, data(spec, here), here))


def test_a_file_that_has_changed_since_is_refused(here: WorkerContext, tmp_path: Path) -> None:
    spec = outside(tmp_path / "teacher.pth")
    outside(tmp_path / "teacher.pth", **{"classifier.bias": torch.ones(10)})
    with pytest.raises(DataError, match="not the checkpoint the study began with"):
        finish(dense_teacher(spec, data(spec, here), here))


def test_once_it_is_an_artifact_the_file_is_not_needed(here: WorkerContext, tmp_path: Path) -> None:
    spec = outside(tmp_path / "teacher.pth")
    images = data(spec, here)
    finish(dense_teacher(spec, images, here))
    (tmp_path / "teacher.pth").unlink()
    assert finish(dense_teacher(spec, images, site(tmp_path)))[1].meta["epochs"] == 0


def test_the_accuracy_achieved_is_that_of_the_epoch_handed_on() -> None:
    assert achieved([0.2, 0.9, 0.5], RECIPE) == 0.5
    assert achieved([0.2, 0.9, 0.5], replace(RECIPE, select="best_val")) == 0.9
    assert achieved([None, None], RECIPE) is None


def refuse(*_: object, **__: object) -> None:
    raise StorageFullError("no space is left")


def test_a_teacher_left_where_its_progress_cannot_be_saved_says_so(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "save", refuse)
    images = data(DENSE, here)
    fitting = Fitting(DENSE, images, here, stage="teacher", key="b" * 64)
    stage = fit_teacher(fitting, blank("convnet_s", (), images, 0), note="x", recipe=RECIPE, seed=3)
    next(stage)
    with pytest.raises(StorageFullError):
        stage.close()


def test_a_student_likewise(here: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    events = run_trial(ALONE, here)
    while not isinstance(next(events), Report):
        continue
    monkeypatch.setattr(Checkpoint, "save", refuse)
    with pytest.raises(StorageFullError):
        events.close()
