"""A pruning round leaves a smaller network where channels go, and zeros where weights go."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pdsearch.models import count_params
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import blank
from pdsearch.pipeline.prune import cut, cut_out, teacher
from pdsearch.pruning import prunable
from tests.pipeline.digits import SPEC, data, facts, finish, pruned, run, site

CHANNELS = pruned(
    replace(SPEC, teacher=replace(SPEC.teacher, model="convnet_m")), method="filter_l1", ratio=0.5
)
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
    mask = finish(teacher(pruned(CHANNELS, recovery="none"), images, here))[1].mask
    assert mask is not None
    model, whole = (blank("convnet_m", (), images, 0) for _ in range(2))
    cut(model, mask, spec, images, here)
    mask.apply(whole)
    seen = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.eval()(seen), whole.eval()(seen))


def test_an_artifact_names_the_channels_or_holds_the_zeros(here: WorkerContext) -> None:
    images = data(SPEC, here)
    weights, channels = (finish(teacher(spec, images, here))[1].mask for spec in (SPEC, CHANNELS))
    assert weights is not None
    assert channels is not None
    about, zeros = cut_out(weights, SPEC, images, here)
    assert (zeros, "kept" in about) == (weights, False)
    about, none = cut_out(channels, CHANNELS, images, here)
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
