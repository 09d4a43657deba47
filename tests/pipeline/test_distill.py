"""A student is trained once, found with its reports, and the same whatever was cached or cut off."""

from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.distill import Taught, distill
from pdsearch.pipeline.keys import student_key
from pdsearch.pipeline.networks import measure
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.student import Student, student
from pdsearch.protocol import Report
from pdsearch.specs import StudentSpec, TrialSpec
from tests.own_code import Author
from tests.pipeline.counting import counted
from tests.pipeline.digits import (
    ALONE,
    DENSE,
    MOVING,
    RECIPE,
    SPEC,
    data,
    distilled,
    finish,
    run,
    site,
    stored,
)

MUTE = """
import torch
from torch import nn


class Mute(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.last = nn.Linear(size, classes)

    def forward(self, images):
        logits = self.last(images.flatten(1))
        return logits if self.training else logits / 0


def mute(*, num_classes, channels, image_size):
    return Mute(channels * image_size**2, num_classes)
"""


def taught(spec: TrialSpec, at: WorkerContext) -> tuple[list[Report], Taught, Student]:
    images = data(spec, at)
    network = finish(teacher(spec, images, at))[1]
    pupil = student(spec, images, network, at)
    said, found = finish(distill(spec, images, network, pupil, at))
    return [event for event in said if isinstance(event, Report)], found, pupil


@pytest.mark.parametrize(
    "spec", [SPEC, ALONE, distilled(loss="fitnet", params=())], ids=["kd", "ce", "fitnet"]
)
def test_a_student_is_trained_once_and_found_with_its_reports(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: TrialSpec
) -> None:
    reports, found, pupil = taught(spec, here)
    assert [report.epoch for report in reports] == [1, 2]
    assert found == Taught(student_key(spec), reports[-1].val_accuracy)
    trained = counted(monkeypatch)
    other = site(tmp_path)
    again, same, loaded = taught(spec, other)
    assert trained == []
    assert (again, same) == (reports, found)
    assert other.epochs == {}
    assert measure(loaded.model, data(spec, other), "val", other, "fp32") == found.val_accuracy
    assert measure(pupil.model, data(spec, here), "val", here, "fp32") == found.val_accuracy


@pytest.mark.parametrize("select", ["last", "best_val"])
def test_the_accuracy_told_is_that_of_the_weights_handed_on(here: WorkerContext, select: str) -> None:
    recipe = replace(RECIPE, epochs=6, lr=0.4, milestones=(), select=select)
    spec = distilled(recipe=recipe)
    reports, found, pupil = taught(spec, here)
    accuracies = [report.val_accuracy or 0.0 for report in reports]
    assert found.val_accuracy == (max(accuracies) if select == "best_val" else accuracies[-1])
    assert measure(pupil.model, data(spec, here), "val", here, "fp32") == found.val_accuracy


@pytest.mark.parametrize("spec", [SPEC, MOVING], ids=["constant", "moving"])
def test_the_student_s_bytes_do_not_depend_on_what_was_cached(tmp_path: Path, spec: TrialSpec) -> None:
    name = f"student/{student_key(spec)}"
    taught(spec, site(tmp_path / "fresh"))
    expected = stored(tmp_path / "fresh")[name]
    warm = site(tmp_path / "warm")
    taught(distilled(spec, seed=1), warm)
    taught(distilled(spec, params=(("alpha", 0.9), ("temperature", 2.0))), warm)
    taught(spec, warm)
    assert stored(tmp_path / "warm")[name] == expected
    taught(spec, site(tmp_path / "live", outputs_limit_bytes=0))
    assert stored(tmp_path / "live")[name] == expected


@pytest.mark.parametrize("interval", [0.0, 1000.0])
def test_a_training_cut_off_replays_its_reports_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    spec = distilled(MOVING, recipe=replace(RECIPE, epochs=4))
    expected, _, _ = taught(spec, site(tmp_path / "whole"))
    cut = site(tmp_path / "cut", checkpoint_s=interval)
    images = data(spec, cut)
    network = finish(teacher(spec, images, cut))[1]
    stage = distill(spec, images, network, student(spec, images, network, cut), cut)
    heard = [next(stage), next(stage)]
    stage.close()
    trained = counted(monkeypatch)
    again, _, _ = taught(spec, site(tmp_path / "cut"))
    assert trained == [2, 3]
    assert again == expected
    assert heard == expected[:2]
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_a_seed_makes_another_student(here: WorkerContext) -> None:
    first, second = taught(MOVING, here)[0], taught(distilled(MOVING, seed=1), here)[0]
    assert [report.loss for report in first] != [report.loss for report in second]


def test_a_network_that_answers_with_what_is_no_number_is_never_stored(
    here: WorkerContext, tmp_path: Path, author: Author
) -> None:
    module = author.write(MUTE)
    for part, spec in (
        ("student", replace(DENSE, student=StudentSpec(f"{module}:mute"))),
        (
            "student",
            replace(DENSE, student=StudentSpec(f"{module}:mute"), data=replace(DENSE.data, val_fraction=0.0)),
        ),
        (f"teacher {module}:mute", replace(SPEC, teacher=replace(SPEC.teacher, model=f"{module}:mute"))),
    ):
        _, outcome = run(spec, here)
        assert outcome.state == "failed"
        assert outcome.reason is not None
        assert outcome.reason.startswith(f"{part}: the logits of ")
        assert "images are not finite" in outcome.reason
    assert {path.split("/")[0] for path in stored(tmp_path)} == {"data", "teacher", "outputs"}
