"""What cannot be trained is refused with a reason, and everything else is let through."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.rehearsal import rehearsing
from pdsearch.pruning.registry import methods
from pdsearch.records.codec import decode, encode
from pdsearch.specs import StudentSpec, TrialSpec
from tests.own_code import Author
from tests.pipeline.digits import DENSE, SPEC, data, distilled, pruned

OWN = """
import torch
from torch import nn


def flat(*, num_classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, num_classes))


def plain(*, num_classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, 4), nn.ReLU(), nn.Linear(4, num_classes))


def whole(model, batches, generator, params):
    return {f"{n}.weight": m.weight.detach().sum(1) for n, m in model.named_modules() if isinstance(m, nn.Linear)}


def failing(model, batches, generator, params):
    return 1 / 0


class Turned(nn.Module):
    # Reads the channels of one layer in another order than they are made, unseen by a tracer.
    def __init__(self, channels, num_classes):
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, 4, 1), nn.Linear(4, num_classes)

    def forward(self, images):
        return self.last(self.two(self.one(images).flip(1)).relu().mean((2, 3)))


def pooled(*, num_classes, channels, image_size):
    pool = nn.Sequential(nn.Conv2d(channels, 4, 1), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))
    return nn.Sequential(pool, nn.Flatten(), nn.Linear(4, num_classes))


def slow(*, num_classes, channels, image_size):
    norm = nn.BatchNorm2d(4, momentum=0.001)
    return nn.Sequential(nn.Conv2d(channels, 4, 1), norm, nn.Flatten(), nn.Linear(4 * image_size**2, num_classes))


class Large(nn.Linear):
    def forward(self, values):
        return super().forward(values.float() + 1e5) * 1e-5


def large(*, num_classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), Large(channels * image_size**2, num_classes))


def turned(*, num_classes, channels, image_size):
    return Turned(channels, num_classes)


def softly(*, num_classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, 3))


def broken(*, num_classes, channels, image_size):
    return nn.Linear(5, num_classes)


def each(student, teacher, targets, params):
    return (student.logits - teacher.logits).square().mean(dim=1)


def deaf(student, teacher, targets, params):
    return teacher.logits.mean()


def labels(student, teacher, targets, params):
    return torch.gather(student.logits, 1, targets[:, None]).mean()
"""


@pytest.fixture
def module(author: Author) -> str:
    """The name of a module of a user's own."""
    return author.write(OWN)


def taught_by(loss: str, **params: Any) -> TrialSpec:
    return distilled(DENSE, loss=loss, params=tuple(sorted(params.items())))


def rehearse(spec: TrialSpec, images: Dataset, **where: bool) -> None:
    with rehearsing(images, **where) as rehearsal:  # type: ignore[arg-type]
        rehearsal.trial(spec)


def named(spec: TrialSpec, module: str) -> TrialSpec:
    """A trial whose own parts, X:NAME, lie in a module."""
    return decode(TrialSpec, json.loads(json.dumps(encode(spec)).replace("X:", f"{module}:")))


def test_statistics_that_a_training_is_too_short_for_are_refused(module: str, here: WorkerContext) -> None:
    own, images = named(replace(DENSE, student=StudentSpec("X:slow")), module), data(DENSE, here)
    message = r"slow: after the 20 steps of train\.distill .* of 1 \(momentum 0\.001\) are still 98% those"
    with pytest.raises(ConfigError, match=message) as caught:
        rehearse(own, images)
    assert caught.value.where == "student.model"
    assert "momentum such as 0.1, or train for 1000 steps or more" in str(caught.value.hint)
    rehearse(distilled(own, recipe=replace(own.distill.recipe, epochs=100)), images)


def test_fp16_is_tried_as_it_is_on_a_cpu_and_as_fp32_for_a_gpu(module: str, here: WorkerContext) -> None:
    own = named(replace(DENSE, student=StudentSpec("X:large"), precision="fp16"), module)
    rehearse(own, data(DENSE, here), on_gpu=True)
    with pytest.raises(ConfigError, match=r"not finite"):
        rehearse(own, data(DENSE, here))


@pytest.mark.parametrize("loss", sorted(losses))
def test_every_loss_of_ours_is_let_through_and_nothing_is_kept(loss: str, here: WorkerContext) -> None:
    before = torch.get_rng_state()
    rehearse(taught_by(loss), data(DENSE, here))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pruned_teacher_and_a_student_shaped_by_it_are_let_through(here: WorkerContext) -> None:
    rehearse(pruned(exclude=("classifier.*",)), data(SPEC, here))
    rehearse(replace(SPEC, student=StudentSpec("from_teacher")), data(SPEC, here))


@pytest.mark.parametrize("method", sorted(methods))
def test_every_method_of_ours_is_let_through(method: str, here: WorkerContext) -> None:
    rehearse(pruned(method=method), data(SPEC, here))
    rehearse(DENSE, data(SPEC, here))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (pruned(exclude=("nothing.*",)), r"^prune\.exclude: 'nothing\.\*' matches no prunable parameter"),
        (pruned(method="X:whole"), r"X:whole scores 1\.weight with shape \(4,\), not \(4, 64\)"),
        (pruned(method="X:failing"), r"X:failing fails on X:plain and 5 images: ZeroDivisionError"),
        (pruned(method="bn_scale"), r"bn_scale: no layer of this model is followed by batch normalisation"),
    ],
)
def test_a_teacher_that_cannot_be_pruned_so_is_one_message(
    module: str, here: WorkerContext, spec: TrialSpec, message: str
) -> None:
    plain = replace(spec, teacher=replace(spec.teacher, model="X:plain"))
    with pytest.raises(ConfigError, match=message.replace("X:", f"{module}:")):
        rehearse(named(plain, module), data(DENSE, here))


def test_an_image_that_is_left_over_of_scoring_is_tried(
    module: str, here: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, spec = data(DENSE, here), pruned(method="snip", at="init", schedule="one_shot")
    alone = replace(spec, teacher=replace(spec.teacher, model=f"{module}:pooled"))
    rehearse(alone, images)
    monkeypatch.setattr("pdsearch.pipeline.prune._BATCH_SIZE", len(images.train) - 1)
    rehearse(spec, images)
    with pytest.raises(
        ConfigError, match=r"^prune\.method: snip fails on .*:pooled and 80 images: ValueError"
    ):
        rehearse(alone, images)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (taught_by("fitnet", stage=7), r"a network has no stage7"),
        (
            replace(DENSE, student=StudentSpec("torchvision/resnet18")),
            r"^student\.model: torchvision/resnet18: it takes 3 channels",
        ),
        (
            replace(DENSE, student=StudentSpec("convnet_s", (("widths", (4, 0)),))),
            r"^student\.options\.widths: convnet_s: no layer has 0 channels",
        ),
        (replace(DENSE, student=StudentSpec("X:softly")), r"answers 2 images with \(2, 3\), not with logits"),
        (replace(DENSE, student=StudentSpec("X:broken")), r"X:broken fails on two images: RuntimeE"),
        (
            replace(taught_by("attention"), student=StudentSpec("X:flat")),
            r"attention compares features, and Sequential shows none",
        ),
        (
            distilled(DENSE, loss="attention", params=(), student_layers=("stagse.0",)),
            r"^distill\.student_layers: the network has no layer 'stagse.0'",
        ),
        (
            distilled(DENSE, loss="attention", params=(), teacher_layers=("classifier",)),
            r"the layer classifier gives \(2, 10\), no map",
        ),
        (taught_by("X:each"), r":each returns \(\d,\), not a scalar"),
        (taught_by("X:deaf"), r":deaf does not depend on the student"),
    ],
)
def test_what_cannot_be_trained_is_one_message(
    module: str, here: WorkerContext, spec: TrialSpec, message: str
) -> None:
    with pytest.raises(ConfigError, match=message.replace("X:", f"{module}:")) as caught:
        rehearse(named(spec, module), data(DENSE, here))
    assert caught.value.hint
    assert caught.value.where


def test_a_student_that_cannot_be_formed_is_refused(module: str, here: WorkerContext) -> None:
    spec = replace(SPEC, teacher=replace(SPEC.teacher, model=f"{module}:flat"))
    rehearse(spec, data(SPEC, here))
    spec = replace(spec, student=StudentSpec("from_teacher"))
    with pytest.raises(ConfigError, match=f"no student can be shaped from '{module}:flat'") as caught:
        rehearse(spec, data(SPEC, here))
    assert caught.value.where == "student.model"


def test_a_network_that_shows_no_features_is_compared_by_its_layers(module: str, here: WorkerContext) -> None:
    layers = distilled(
        DENSE, loss="attention", params=(), student_layers=("one",), teacher_layers=("stages.0",)
    )
    spec = named(replace(layers, student=StudentSpec("X:turned")), module)
    rehearse(spec, data(DENSE, here))


def test_a_loss_over_labels_is_refused_where_labels_are_mixed(module: str, here: WorkerContext) -> None:
    spec = named(taught_by("X:labels"), module)
    rehearse(spec, data(DENSE, here))
    with pytest.raises(ConfigError, match=r":labels fails on 5 images"):
        rehearse(replace(spec, data=replace(spec.data, augment="mixup")), data(DENSE, here))


def test_sensitivity_without_validation_images_is_refused(here: WorkerContext) -> None:
    unseen = replace(pruned(scope="sensitivity"), data=replace(SPEC.data, val_fraction=0.0))
    with pytest.raises(ConfigError, match="measured on validation images, and there are none"):
        rehearse(unseen, data(unseen, here))
