"""A network loaded from an artifact is the one saved, and is measured on the images of its own split."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsearch.errors import TrialError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import blank, load, measure, packed
from pdsearch.pipeline.prune import teacher
from pdsearch.pruning import Mask
from tests.pipeline.digits import SPEC, data, finish, site


def test_weights_and_mask_are_packed_and_loaded(here: WorkerContext) -> None:
    images = data(SPEC, here)
    model, other = blank("convnet_s", (), images, 0), blank("convnet_s", (), images, 1)
    masks = {name: p.detach() > 0 for name, p in model.named_parameters() if p.dim() > 1}
    found = load(other, packed(model, Mask(masks)))
    assert found is not None
    assert {name: mask.tolist() for name, mask in found.items()} == {n: m.tolist() for n, m in masks.items()}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])
    assert load(other, packed(model)) is None


def test_an_artifact_that_is_no_number_is_one_message(here: WorkerContext) -> None:
    model = blank("convnet_s", (), data(SPEC, here), 0)
    broken = {**packed(model), "classifier.bias": torch.full((10,), torch.nan)}
    with pytest.raises(TrialError, match=r"^there: classifier\.bias is not finite in the artifact"):
        load(model, broken, where="there")


def test_initial_weights_depend_on_the_seed_alone(here: WorkerContext) -> None:
    images = data(SPEC, here)

    def weights(seed: int) -> torch.Tensor:
        found: torch.Tensor = blank("convnet_s", (), images, seed).state_dict()["classifier.weight"]
        return found

    before = torch.get_rng_state()
    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
    assert torch.equal(before, torch.get_rng_state())


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
    assert packed(first.model, first.mask).keys() == packed(other.model, other.mask).keys()
    for name, tensor in packed(first.model, first.mask).items():
        assert torch.equal(tensor, packed(other.model, other.mask)[name])
    assert first.meta["val_accuracy"] == measure(other.model, data(SPEC, other_site), "val", here, "fp32")


def test_each_set_is_measured_on_its_own_images_however_many_came_before(here: WorkerContext) -> None:
    """Sets come and go; the memory of one that is gone is given to the next."""
    images = data(SPEC, here)
    model = blank("convnet_s", (), images, 0).eval()
    splits = [images.train, images.val, images.test]
    expected = [measure(model, replace(images, val=split), "val", site(Path()), "fp32") for split in splits]
    assert len(set(expected)) == 3
    found = [measure(model, replace(images, val=split), "val", here, "fp32") for split in splits]
    assert found == expected
