"""What pruning leaves: channels that are cut out, and images that are drawn to score them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.models import count_params
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import blank
from pdsearch.pipeline.prune import Pruning, balanced, scoring_batches, teacher
from pdsearch.pruning import prunable
from pdsearch.specs import TrialSpec
from tests.pipeline.digits import SPEC, data, facts, finish, pruned, run, site
from tests.some import some

CHANNELS = pruned(
    replace(SPEC, teacher=replace(SPEC.teacher, model="convnet_m")), method="filter_l1", ratio=0.5
)


def pruning(spec: TrialSpec, images: Dataset, here: WorkerContext) -> Pruning:
    assert spec.prune is not None
    return Pruning(spec, spec.prune, images, here)


RECOVERIES = ("lr_rewind", "rewind", "none")


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_a_smaller_teacher_is_the_same_when_it_is_read_back(
    here: WorkerContext, tmp_path: Path, recovery: str
) -> None:
    spec = pruned(CHANNELS, recovery=recovery)
    images = data(spec, here)
    _, first = finish(teacher(spec, images, here))
    other = site(tmp_path)
    _, second = finish(teacher(spec, data(spec, other), other))
    assert second is not first
    assert first.mask is not None
    assert first.mask == second.mask
    names = ("remaining", "prunable", "sparsity", "round")
    assert [first.meta[name] for name in names] == [
        first.mask.remaining,
        first.mask.total,
        first.mask.sparsity,
        3,
    ]
    assert first.mask.remaining == sum(weight.numel() for weight in prunable(first.model).values())
    assert count_params(first.model) < count_params(blank("convnet_m", (), images, 0)) / 2
    seen = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first.model.eval()(seen), second.model(seen))


def test_rewound_channels_have_their_first_weights(here: WorkerContext) -> None:
    spec = pruned(CHANNELS, at="init", recovery="none")
    images = data(spec, here)
    mask = some(finish(teacher(pruned(CHANNELS, recovery="none"), images, here))[1].mask)
    model, whole = (blank("convnet_m", (), images, 0) for _ in range(2))
    pruning(spec, images, here).apply_mask(model, mask)
    mask.apply(whole)
    seen = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.eval()(seen), whole.eval()(seen))


def test_an_artifact_names_the_channels_or_holds_the_zeros(here: WorkerContext) -> None:
    images = data(SPEC, here)
    weights, channels = (finish(teacher(spec, images, here))[1].mask for spec in (SPEC, CHANNELS))
    assert weights is not None
    assert channels is not None
    about, zeros = pruning(SPEC, images, here).mask_facts(weights)
    assert (zeros, "kept" in about) == (weights, False)
    about, none = pruning(CHANNELS, images, here).mask_facts(channels)
    assert none is None
    kept = about["kept"]
    assert isinstance(kept, dict)
    assert sum(len(left) for left in kept.values() if isinstance(left, list)) == 112 - 55  # 0.488 of 112


def test_a_student_shaped_by_a_smaller_teacher_has_its_widths(here: WorkerContext) -> None:
    spec = replace(CHANNELS, student=replace(CHANNELS.student, model="from_teacher"))
    known = facts(run(spec, here)[0])
    _, shape = finish(teacher(spec, data(spec, here), here))
    assert known.teacher is not None
    assert known.student["params"] == count_params(shape.model)
    assert known.student["params"] != known.teacher["params"]


@pytest.mark.parametrize("method", ["snip", "filter_l2"])
def test_a_parameter_out_of_range_or_unknown_fails_the_trial(here: WorkerContext, method: str) -> None:
    spec = pruned(method=method, params=(("temperature", 1.0),))
    _, outcome = run(spec, here)
    assert outcome.state == "failed"
    assert outcome.reason is not None
    assert f"prune.{method}: unknown parameter 'temperature'" in outcome.reason


def test_classes_take_turns_for_as_long_as_they_last() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 2)
    order = balanced(labels, Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(11))
    turns = labels[order].tolist()
    assert [sorted(turns[:3]), sorted(turns[3:6]), sorted(turns[6:8])] == [[0, 1, 2], [0, 1, 2], [0, 1]]
    assert turns[8:] == [0] * 3


def test_the_draw_depends_on_the_generator_alone() -> None:
    labels = torch.arange(50) % 5
    first = balanced(labels, Generator().manual_seed(1))
    assert torch.equal(first, balanced(labels, Generator().manual_seed(1)))
    assert not torch.equal(first, balanced(labels, Generator().manual_seed(2)))


def test_a_method_sees_as_many_of_every_digit(here: WorkerContext) -> None:
    images = data(SPEC, here)
    ((seen, labels),) = scoring_batches(SPEC, images, here)
    assert seen.shape == (len(images.train), 1, 8, 8)
    counts = labels[:30].bincount(minlength=10)
    assert counts.tolist() == [3] * 10
