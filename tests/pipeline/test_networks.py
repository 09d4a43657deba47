"""Networks as stages use them: loaded, run for logits and features, their answers stored."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsearch.errors import ConfigError, TrialError
from pdsearch.models import build
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.distill import TeacherLogits
from pdsearch.pipeline.networks import (
    answering,
    blank,
    load_weights,
    measure_accuracy,
    network_tensors,
    outputs,
    shapes,
)
from pdsearch.pipeline.prune import teacher
from pdsearch.pruning import Mask
from pdsearch.specs import TrialSpec
from tests.pipeline.digits import MOVING, RECIPE, SPEC, data, finish, site
from tests.some import some


def test_weights_and_mask_are_packed_and_loaded(here: WorkerContext) -> None:
    images = data(SPEC, here)
    model, other = blank("convnet_s", (), images, 0), blank("convnet_s", (), images, 1)
    masks = {name: p.detach() > 0 for name, p in model.named_parameters() if p.dim() > 1}
    found = some(load_weights(other, network_tensors(model, Mask(masks))))
    assert {name: mask.tolist() for name, mask in found.items()} == {n: m.tolist() for n, m in masks.items()}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert load_weights(other, network_tensors(model)) is None


def test_an_artifact_that_is_no_number_is_one_message(here: WorkerContext) -> None:
    model = blank("convnet_s", (), data(SPEC, here), 0)
    broken = {**network_tensors(model), "classifier.bias": torch.full((10,), torch.nan)}
    with pytest.raises(TrialError, match=r"^there: classifier\.bias is not finite in the artifact"):
        load_weights(model, broken, where="there")


def test_a_teacher_is_loaded_once_by_a_worker_and_stands_for_evaluation(
    here: WorkerContext, tmp_path: Path
) -> None:
    images = data(SPEC, here)
    _, first = finish(teacher(SPEC, images, here))
    assert finish(teacher(SPEC, images, here))[1] is first
    other_site = site(tmp_path)
    _, other = finish(teacher(SPEC, data(SPEC, other_site), other_site))
    assert other is not first
    assert not first.model.training
    assert network_tensors(first.model, first.mask).keys() == network_tensors(other.model, other.mask).keys()
    for name, tensor in network_tensors(first.model, first.mask).items():
        assert torch.equal(tensor, network_tensors(other.model, other.mask)[name])
    assert first.meta["val_accuracy"] == measure_accuracy(
        other.model, data(SPEC, other_site), "val", here, "fp32"
    )


def test_each_set_is_measured_on_its_own_images_however_many_came_before(here: WorkerContext) -> None:
    """Sets come and go; the memory of one that is gone is given to the next."""
    images = data(SPEC, here)
    model = blank("convnet_s", (), images, 0).eval()
    splits = [images.train, images.val, images.test]
    expected = [
        measure_accuracy(model, replace(images, val=split), "val", site(Path()), "fp32") for split in splits
    ]
    assert len(set(expected)) == 3
    found = [measure_accuracy(model, replace(images, val=split), "val", here, "fp32") for split in splits]
    assert found == expected


NETWORK = build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=0).eval()
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_features_by_pattern_with_the_same_logits() -> None:
    alone, said = outputs(NETWORK, IMAGES, ()), outputs(NETWORK, IMAGES, ("stage*",))
    assert torch.equal(alone.logits, NETWORK(IMAGES))
    assert torch.equal(said.logits, alone.logits)
    assert said.features
    assert not alone.features
    assert all(name.startswith("stage") for name in said.features)
    assert shapes(said) == {name: tuple(maps[0].shape) for name, maps in said.features.items()}


def test_float32_leaves_a_network_in_16_bits() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = outputs(NETWORK, IMAGES, ("pooled",))
    assert {said.logits.dtype, said.features["pooled"].dtype} == {torch.float32}


def test_a_feature_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs features"):
        outputs(NETWORK, IMAGES, ("attention",))


EVERY = torch.arange(80)


def logits(spec: TrialSpec, at: WorkerContext) -> TeacherLogits:
    images = data(spec, at)
    network = finish(teacher(spec, images, at))[1]
    seen = views(images, augment=spec.data.augment, stream=spec.distill.view_seed, site=at)
    return TeacherLogits(spec, network, seen, images.num_classes, at)


def blocks(at: WorkerContext) -> int:
    return sum(use.stage == "outputs" for use in at.account.uses)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("spec", [SPEC, MOVING], ids=["constant", "moving"])
def test_stored_is_live_bit_for_bit(tmp_path: Path, spec: TrialSpec, precision: str) -> None:
    spec = replace(spec, precision=precision)
    stored, live = logits(spec, site(tmp_path)), logits(spec, site(tmp_path, outputs_limit_bytes=0))
    assert stored.stored
    assert not live.stored
    for epoch in (0, 1, 9):
        ours, theirs = stored.rows(epoch, EVERY), live.rows(epoch, EVERY)
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)
    assert blocks(live.site) == 0


def test_views_that_never_change_are_answered_once(here: WorkerContext) -> None:
    found = logits(SPEC, here)
    first = found.rows(0, EVERY)
    for epoch in (1, 5, 20):
        assert torch.equal(found.rows(epoch, EVERY), first)
    assert blocks(here) == 1


def test_views_that_change_are_answered_epoch_by_epoch_in_blocks(here: WorkerContext) -> None:
    found = logits(MOVING, here)
    assert not torch.equal(found.rows(0, EVERY), found.rows(1, EVERY))
    for epoch in range(8):
        found.rows(epoch, EVERY)
    assert blocks(here) == 1
    found.rows(8, EVERY)
    assert blocks(here) == 2
    other = logits(MOVING, here)
    other.rows(3, EVERY)
    assert blocks(here) == 2  # At hand from the first trial.


def test_the_limit_counts_all_epochs_of_the_trial(here: WorkerContext) -> None:
    bytes_per_epoch = 80 * 10 * 4
    here.outputs_limit_bytes = 2 * bytes_per_epoch
    assert logits(MOVING, here).stored
    longer = replace(MOVING, distill=replace(MOVING.distill, recipe=replace(RECIPE, epochs=3)))
    assert not logits(longer, here).stored


def test_the_teacher_answers_folded(here: WorkerContext) -> None:
    found = logits(SPEC, here)
    model, seen = found.teacher.model, found.seen
    with torch.no_grad():
        plain = model(seen.batch(0, EVERY))
    torch.testing.assert_close(found.rows(0, EVERY), plain, rtol=1e-4, atol=1e-4)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())
    folded = answering(found.teacher, here, SPEC.precision)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert folded is answering(found.teacher, here, SPEC.precision)


def test_a_full_store_lets_the_teacher_run_live_and_what_is_there_is_used(
    here: WorkerContext, tmp_path: Path
) -> None:
    found = logits(MOVING, here)
    expected = [found.rows(epoch, EVERY) for epoch in (0, 9)]
    assert blocks(here) == 2
    full = logits(MOVING, site(tmp_path, outputs_limit_bytes=here.store.used("outputs")))
    assert full.stored
    assert torch.equal(full.rows(0, EVERY), expected[0])
    assert torch.equal(full.rows(9, EVERY), expected[1])
    full.rows(16, EVERY)
    assert blocks(full.site) == 2
