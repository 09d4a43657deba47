"""Mixed views go through a whole trial: the teacher answers to them, and the targets are their shares."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsearch.pipeline.cache import drain
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.distill import _smoothed
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.teacher_logits import TeacherLogits
from pdsearch.training import evaluating
from tests.pipeline.digits import ALONE, DENSE, data, reports, run, site

MIXED = "crop_flip+mixup(0.4)"


def test_stored_logits_are_the_teachers_answers_to_the_mixed_views(
    here: WorkerContext, tmp_path: Path
) -> None:
    spec = replace(DENSE, data=replace(DENSE.data, augment=MIXED))
    images = data(spec, here)
    network = drain(teacher(spec, images, here))
    seen = views(images, augment=MIXED, stream=spec.distill.view_seed, site=here)
    stored = TeacherLogits(spec, network, seen, images.num_classes, here)
    unstored = site(tmp_path, outputs_limit_bytes=0)
    live = TeacherLogits(spec, network, seen, images.num_classes, unstored)
    assert (stored.stored, live.stored) == (True, False)
    every = torch.arange(len(seen))
    for epoch in (0, 1):
        assert torch.equal(stored.rows(epoch, every), live.rows(epoch, every))
        with evaluating(network.model):  # Without batch normalisation folded into its convolutions.
            answers = network.model(seen.batch(epoch, every))
        torch.testing.assert_close(stored.rows(epoch, every), answers, rtol=0, atol=1e-4)
    assert not torch.equal(stored.rows(0, every), stored.rows(1, every))


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


def test_mixing_changes_what_is_learned(tmp_path: Path) -> None:
    spec = replace(ALONE, data=replace(ALONE.data, augment="crop_flip"))
    plain = reports(run(spec, site(tmp_path / "plain"))[0])
    blended = reports(run(replace(spec, data=replace(spec.data, augment=MIXED)), site(tmp_path / "mixed"))[0])
    assert plain[-1].loss != blended[-1].loss
