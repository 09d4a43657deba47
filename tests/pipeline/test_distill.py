"""Distillation: what the student is shown, what its teacher answers, and what it reports."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.distill import (
    Taught,
    _smoothed,
    distillation_objective,
    distilled_student,
    student_with_adapter,
)
from pdsearch.pipeline.keys import student_key
from pdsearch.pipeline.networks import measure_accuracy
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.student import Student, student
from pdsearch.protocol import Report
from pdsearch.specs import StudentSpec, TrialSpec
from tests.own_code import Author
from tests.pipeline.digits import (
    ALONE,
    DENSE,
    MOVING,
    RECIPE,
    SPEC,
    counted,
    data,
    distilled,
    finish,
    reports,
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
    said, found = finish(distilled_student(spec, images, network, pupil, at))
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
    assert other.account.epochs == {}
    assert measure_accuracy(loaded.model, data(spec, other), "val", other, "fp32") == found.val_accuracy
    assert measure_accuracy(pupil.model, data(spec, here), "val", here, "fp32") == found.val_accuracy


@pytest.mark.parametrize("select", ["last", "best_val"])
def test_the_accuracy_told_is_that_of_the_weights_handed_on(here: WorkerContext, select: str) -> None:
    recipe = replace(RECIPE, epochs=6, lr=0.4, milestones=(), select=select)
    spec = distilled(recipe=recipe)
    reports, found, pupil = taught(spec, here)
    accuracies = [report.val_accuracy or 0.0 for report in reports]
    assert found.val_accuracy == (max(accuracies) if select == "best_val" else accuracies[-1])
    assert measure_accuracy(pupil.model, data(spec, here), "val", here, "fp32") == found.val_accuracy


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
    stage = distilled_student(spec, images, network, student(spec, images, network, cut), cut)
    heard = [next(stage), next(stage)]
    stage.close()
    trained = counted(monkeypatch)
    again, _, _ = taught(spec, site(tmp_path / "cut"))
    assert trained == [2, 3]
    assert again == expected
    assert heard == expected[:2]
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


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
        assert f" fails: {part}: the logits of " in str(outcome.reason)
        assert "images are not finite" in str(outcome.reason)
    assert {path.split("/")[0] for path in stored(tmp_path)} == {"data", "teacher", "outputs"}


INDEX = torch.arange(16)


def named(loss: str) -> TrialSpec:
    return distilled(SPEC, loss=loss, params=())


def heard(spec: TrialSpec, at: WorkerContext) -> tuple[Any, torch.Tensor]:
    """The pupil of a trial and the loss of its first batch."""
    images = data(spec, at)
    network = finish(teacher(spec, images, at))[1] if spec.distill.loss != "ce" else None
    model = student(spec, images, network, at).model
    seen = views(images, augment="none", stream=0, site=at)
    taught = student_with_adapter(spec, images, network, model, at)
    taught.train()
    objective = distillation_objective(spec, images, network, seen, at)
    return taught, objective(taught, seen.batch(0, INDEX), INDEX, 0)


def test_the_teacher_is_not_taught(here: WorkerContext) -> None:
    spec = named("fitnet")
    network = finish(teacher(spec, data(spec, here), here))[1]
    before = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
    heard(spec, here)[1].backward()
    assert all(p.grad is None for p in network.model.parameters())
    assert not network.model.training
    for name, tensor in network.model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_an_adapter_is_trained_beside_the_student_and_drawn_from_its_seed(here: WorkerContext) -> None:
    spec = named("fitnet")
    first, again, other = (heard(trial, here)[0].adapter for trial in (spec, spec, distilled(spec, seed=1)))
    assert heard(named("kd"), here)[0].adapter is None
    weights = [torch.cat([p.flatten() for p in adapter.parameters()]) for adapter in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_shapes_for_an_adapter_are_asked_of_copies(here: WorkerContext) -> None:
    spec, seen = named("fitnet"), []
    images = data(spec, here)
    network = finish(teacher(spec, images, here))[1]
    pupil = student(spec, images, network, here).model
    for part in pupil.modules():
        part.register_forward_hook(lambda asked, *_: seen.append(asked))
    student_with_adapter(spec, images, network, pupil, here)
    assert seen
    assert not {*seen} & {*pupil.modules()}


def test_smoothed_labels_are_probabilities(here: WorkerContext) -> None:
    smooth = distilled(ALONE, recipe=replace(ALONE.distill.recipe, label_smoothing=0.2))
    assert heard(smooth, here)[1].item() != heard(ALONE, here)[1].item()
    model = heard(ALONE, here)[0].eval()
    images = data(ALONE, here)
    seen = views(images, augment="none", stream=0, site=here)
    batch = seen.batch(0, INDEX)
    value = distillation_objective(smooth, images, None, seen, here)(model, batch, INDEX, 0)
    expected = torch.nn.functional.cross_entropy(model(batch), seen.labels[INDEX], label_smoothing=0.2)
    assert torch.allclose(value, expected)


def test_soft_terms_that_grow_follow_the_epoch(here: WorkerContext) -> None:
    """Linear in the share: what a later epoch adds to the hard term is that many times what the first one adds."""
    params = (("target_weight", 1.0), ("other_weight", 8.0), ("temperature", 4.0), ("warmup_epochs", 4))
    spec = distilled(SPEC, loss="dkd", params=params)
    images = data(spec, here)
    network = finish(teacher(spec, images, here))[1]
    model = student(spec, images, network, here).model.eval()
    seen = views(images, augment="none", stream=0, site=here)
    objective = distillation_objective(spec, images, network, seen, here)
    taught = student_with_adapter(spec, images, network, model, here).eval()
    found = [float(objective(taught, seen.batch(0, INDEX), INDEX, epoch).detach()) for epoch in range(6)]
    step = found[1] - found[0]
    assert step > 0
    assert found == pytest.approx([found[0] + step * min(epoch, 3) for epoch in range(6)], rel=1e-4)


MIXED = "crop_flip+mixup(0.4)"


@pytest.mark.parametrize("augment", ["mixup", "crop+cutmix", "trivial_augment+mixup_or_cutmix", MIXED])
def test_a_trial_with_mixed_views_is_reproducible(tmp_path: Path, augment: str) -> None:
    spec = replace(DENSE, data=replace(DENSE.data, augment=augment))
    first, again = (reports(run(spec, site(tmp_path / name))[0]) for name in ("one", "other"))
    assert len(first) == spec.distill.recipe.epochs
    assert first == again


def test_the_student_alone_learns_the_shares() -> None:
    targets = torch.tensor([[0.25, 0.75, 0.0]])
    assert torch.equal(_smoothed(targets, 3, 0.0), targets)
    torch.testing.assert_close(_smoothed(targets, 3, 0.3), targets * 0.7 + 0.1)
    labels = torch.tensor([1])
    assert torch.equal(_smoothed(labels, 3, 0.0), labels)
    torch.testing.assert_close(_smoothed(labels, 3, 0.3), torch.tensor([[0.1, 0.8, 0.1]]))
