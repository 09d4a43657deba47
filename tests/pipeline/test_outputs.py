"""Teacher outputs are stored once, and equal the live ones bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.networks import answering
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.teacher_logits import TeacherLogits
from pdsearch.specs import TrialSpec
from tests.pipeline.digits import MOVING, RECIPE, SPEC, data, finish, site

EVERY = torch.arange(80)


def logits(spec: TrialSpec, at: WorkerContext) -> TeacherLogits:
    images = data(spec, at)
    network = finish(teacher(spec, images, at))[1]
    seen = views(images, augment=spec.data.augment, stream=spec.distill.view_seed, site=at)
    return TeacherLogits(spec, network, seen, images.num_classes, at)


def blocks(at: WorkerContext) -> int:
    return sum(use.stage == "outputs" for use in at.uses)


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


def test_rows_are_those_asked_for_in_their_order(here: WorkerContext) -> None:
    found = logits(MOVING, here)
    index = torch.tensor([7, 3, 3, 79])
    assert torch.equal(found.rows(1, index), found.rows(1, EVERY)[index])


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


def test_another_worker_finds_them(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = logits(MOVING, here).rows(2, EVERY)
    other = logits(MOVING, site(tmp_path))

    def asked_again(*_: object) -> None:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr("pdsearch.pipeline.teacher_logits.logits", asked_again)
    assert torch.equal(other.rows(2, EVERY), expected)


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
