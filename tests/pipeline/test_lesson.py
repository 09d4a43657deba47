"""Each loss gets what it asks for, and only the student is handed on."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from pdsearch.distillation.registry import losses
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.distill import lesson, pupil
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.student import student
from pdsearch.specs import TrialSpec
from tests.pipeline.digits import ALONE, SPEC, data, distilled, finish

INDEX = torch.arange(16)
LOSSES = sorted(losses)


def named(loss: str) -> TrialSpec:
    return distilled(SPEC, loss=loss, params=())


def heard(spec: TrialSpec, at: WorkerContext) -> tuple[Any, torch.Tensor]:
    """The pupil of a trial and the loss of its first batch."""
    images = data(spec, at)
    network = finish(teacher(spec, images, at))[1] if spec.distill.loss != "ce" else None
    model = student(spec, images, network, at).model
    seen = views(images, augment="none", stream=0, site=at)
    taught = pupil(spec, images, network, model, at)
    taught.train()
    objective = lesson(spec, images, network, seen, at)
    return taught, objective(taught, seen.batch(0, INDEX), INDEX, 0)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_gets_what_it_needs_and_teaches_the_student(here: WorkerContext, loss: str) -> None:
    taught, value = heard(named(loss), here)
    assert value.shape == ()
    assert torch.isfinite(value)
    value.backward()
    gradients = [p.grad for p in taught.student.parameters() if p.grad is not None]
    assert any(bool(gradient.abs().sum() > 0) for gradient in gradients)


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


def test_smoothed_labels_are_probabilities(here: WorkerContext) -> None:
    smooth = distilled(ALONE, recipe=replace(ALONE.distill.recipe, label_smoothing=0.2))
    assert heard(smooth, here)[1].item() != heard(ALONE, here)[1].item()
    model = heard(ALONE, here)[0].eval()
    images = data(ALONE, here)
    seen = views(images, augment="none", stream=0, site=here)
    batch = seen.batch(0, INDEX)
    value = lesson(smooth, images, None, seen, here)(model, batch, INDEX, 0)
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
    objective = lesson(spec, images, network, seen, here)
    taught = pupil(spec, images, network, model, here).eval()
    losses_by_epoch = [
        float(objective(taught, seen.batch(0, INDEX), INDEX, epoch).detach()) for epoch in range(6)
    ]
    step = losses_by_epoch[1] - losses_by_epoch[0]
    assert step > 0
    hard = losses_by_epoch[0] - step
    for epoch, loss in enumerate(losses_by_epoch):
        assert loss == pytest.approx(hard + step * min(epoch + 1, 4), rel=1e-4)
