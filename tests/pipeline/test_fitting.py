"""A stage's training keeps its progress under its own key, and counts what it trains."""

from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.errors import StorageFullError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import blank
from pdsearch.pipeline.stage_training import Fitting, achieved, fit_teacher
from pdsearch.pipeline.trial import run_trial
from pdsearch.protocol import Progress, Report
from pdsearch.training import Checkpoint
from tests.on_disk import on_disk
from tests.pipeline.digits import ALONE, DENSE, RECIPE, data, finish, site

KEY = "b" * 64


def test_the_accuracy_achieved_is_that_of_the_epoch_handed_on() -> None:
    assert achieved([0.2, 0.9, 0.5], RECIPE) == 0.5
    assert achieved([0.2, 0.9, 0.5], replace(RECIPE, select="best_val")) == 0.9
    assert achieved([None, None], RECIPE) is None


@pytest.mark.parametrize("interval", [0.0, 1000.0])
def test_progress_lies_under_the_key_of_what_is_made(tmp_path: Path, interval: float) -> None:
    here = site(tmp_path, checkpoint_s=interval)
    images = data(DENSE, here)
    fitting = Fitting(DENSE, images, here, stage="teacher", key=KEY)
    stage = fit_teacher(fitting, blank("convnet_s", (), images, 0), note="x", recipe=RECIPE, seed=3)
    next(stage)
    stage.close()
    assert [path.name for path in on_disk(here.progress).iterdir()] == [KEY]


def test_every_epoch_is_told_and_counted(here: WorkerContext) -> None:
    images = data(DENSE, here)
    fitting = Fitting(DENSE, images, here, stage="prune", key=KEY)
    model = blank("convnet_s", (), images, 0)
    said, meta = finish(fit_teacher(fitting, model, note="round 1", recipe=RECIPE, seed=3))
    assert [(event.stage, event.note, event.epoch, event.epochs) for event in said] == [
        ("prune", "round 1", 1, 2),
        ("prune", "round 1", 2, 2),
    ]
    assert all(isinstance(event, Progress) for event in said)
    assert meta == {"val_accuracy": said[-1].val_accuracy, "epochs": 2}
    assert here.epochs == {"prune": 2}


def refuse(*_: object, **__: object) -> None:
    raise StorageFullError("no space is left")


def test_a_teacher_left_where_its_progress_cannot_be_saved_says_so(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "save", refuse)
    images = data(DENSE, here)
    fitting = Fitting(DENSE, images, here, stage="teacher", key=KEY)
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
