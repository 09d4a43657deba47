import pytest
import torch

from pdsearch.distillation import FeatureShapes, Outputs, teach
from pdsearch.distillation.losses.fitnet import FitnetParams, Regressor, at_epoch, fitnet_loss
from pdsearch.distillation.losses.kd import KdParams, kd_loss
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError, TrialError

ENTRY = losses.get("fitnet")


def made(
    student: FeatureShapes, teacher: FeatureShapes, generator: torch.Generator, params: FitnetParams
) -> Regressor:
    assert ENTRY.adapter is not None
    adapter = ENTRY.adapter(student, teacher, 2, generator, params)
    assert isinstance(adapter, Regressor)
    return adapter


def test_equals_the_definition_gradients_of_the_regressor_included() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 4, 2, 2, generator=generator, dtype=torch.float64)
    logits, labels = torch.randn(2, 5, generator=generator, dtype=torch.float64), torch.tensor([1, 4])
    params = FitnetParams(stage=1, hint_weight=7.0, hard_weight=0.5)
    adapter = made({"stage1": (3, 2, 2)}, {"stage1": (4, 2, 2)}, generator, params).double()
    ours, theirs = Outputs(logits, {"stage1": student}), Outputs(logits, {"stage1": teacher})
    value = teach(ENTRY, ours, theirs, labels, params=params, adapter=adapter, index=torch.arange(2))
    hint, slope = torch.zeros((), dtype=torch.float64), torch.zeros(4, 3, dtype=torch.float64)
    for b in range(2):
        for y in range(2):
            for x in range(2):
                gap = adapter.weight[:, :, 0, 0] @ student[b, :, y, x] + adapter.bias - teacher[b, :, y, x]
                hint = hint + gap.square().sum() / 32
                slope += 7.0 * 2 * torch.outer(gap, student[b, :, y, x]).detach() / 32
    hard = -sum(float(torch.log_softmax(logits[b], 0)[labels[b]]) for b in range(2)) / 2
    assert value.item() == pytest.approx(7.0 * hint.item() + 0.5 * hard, rel=1e-6)
    (gradient,) = torch.autograd.grad(value, adapter.weight)
    torch.testing.assert_close(gradient[:, :, 0, 0], slope, rtol=1e-6, atol=0)


def test_the_authors_regressor_leaves_the_size_of_the_teacher_s_map() -> None:
    generator = torch.Generator().manual_seed(0)
    params = FitnetParams(stage=1, regressor="authors", hint_weight=2.0, hard_weight=0.0)
    shapes = {"stage1": (3, 5, 4)}, {"stage1": (2, 3, 4)}
    adapter = made(*shapes, generator, params)
    assert adapter.weight.shape == (2, 3, 3, 1)
    adapter = adapter.double()
    student, teacher = (
        torch.randn(2, *shape["stage1"], generator=generator, dtype=torch.float64) for shape in shapes
    )
    ours, theirs = (Outputs(torch.zeros(2, 5), {"stage1": maps}) for maps in (student, teacher))
    value = teach(
        ENTRY, ours, theirs, torch.tensor([1, 4]), params=params, adapter=adapter, index=torch.arange(2)
    )
    hint = 0.0
    for b in range(2):
        for y in range(3):
            for x in range(4):
                seen = (
                    torch.einsum("ocr,cr->o", adapter.weight[..., 0], student[b, :, y : y + 3, x])
                    + adapter.bias
                )
                gap = seen.detach().clamp(min=0) - teacher[b, :, y, x]
                hint += float(gap.square().sum()) / (2 * 2 * 3 * 4)
    assert value.item() == pytest.approx(2 * hint, rel=1e-6)
    with pytest.raises(ConfigError, match="the student's stage1 is smaller"):
        made(shapes[1], shapes[0], generator, params)


def test_the_hint_s_stage_comes_first_and_trains_nothing_else() -> None:
    params = FitnetParams(hint_epochs=3, soft_weight=4.0, decay_epochs=10)
    for epoch, weights in (
        (1, (100, 0, 0)),
        (3, (100, 0, 0)),
        (4, (0, 1, 4)),
        (9, (0, 1, 2.5)),
        (50, (0, 1, 1)),
    ):
        now = at_epoch(params, epoch)
        assert (now.hint_weight, now.hard_weight, now.soft_weight) == weights
    assert at_epoch(FitnetParams(), 7) == FitnetParams()
    logits = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    maps, labels = torch.randn(2, 3, 2, 2, requires_grad=True), torch.tensor([0, 1])
    student, teacher = (
        Outputs(logits, {"stage2": maps}),
        Outputs(torch.randn(2, 5).double(), {"stage2": torch.ones_like(maps)}),
    )
    fitnet_loss(student, teacher, labels, at_epoch(params, 1)).backward()
    assert logits.grad is None
    assert maps.grad is not None
    maps.grad = None
    later = fitnet_loss(student, teacher, labels, at_epoch(params, 50))
    later.backward()
    assert maps.grad is None
    kd = kd_loss(student, teacher, labels, KdParams(temperature=3.0, alpha=0.5))
    assert later.item() == pytest.approx(2 * kd.item(), rel=1e-6)


def test_a_stage_that_a_network_lacks_is_refused_before_training() -> None:
    shapes = {"stage1": (3, 2, 2), "stage2": (3, 1, 1), "pooled": (3,)}
    with pytest.raises(ConfigError, match=r"a network has no stage5") as caught:
        made(shapes, shapes, torch.Generator(), FitnetParams(stage=5))
    assert "both have: stage1, stage2" in str(caught.value)


def test_outputs_without_the_stage_fail_the_trial() -> None:
    regressor = Regressor("stage2", (3, 1, 1), (3, 1, 1), torch.Generator())
    bare = Outputs(torch.zeros(1, 2))
    with pytest.raises(TrialError, match=r"compares stage2"):
        regressor(bare, bare, torch.arange(1))
