import pytest
import torch

from pdsearch.distillation import Outputs, make_adapter, teach
from pdsearch.distillation.losses.fitnet import FitnetParams, Regressor
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError, TrialError

ENTRY = losses.get("fitnet")


def test_equals_the_definition_gradients_of_the_regressor_included() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 3, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(2, 4, 2, 2, generator=generator, dtype=torch.float64)
    logits, labels = torch.randn(2, 5, generator=generator, dtype=torch.float64), torch.tensor([1, 4])
    params = FitnetParams(stage=1, hint_weight=7.0, hard_weight=0.5)
    adapter = make_adapter(
        ENTRY, {"stage1": (3, 2, 2)}, {"stage1": (4, 2, 2)}, images=2, generator=generator, params=params
    )
    assert isinstance(adapter, Regressor)
    adapter = adapter.double()
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


def test_a_stage_that_a_network_lacks_is_refused_before_training() -> None:
    shapes = {"stage1": (3, 2, 2), "stage2": (3, 1, 1), "pooled": (3,)}
    with pytest.raises(ConfigError, match=r"a network has no stage5") as caught:
        make_adapter(
            ENTRY, shapes, shapes, images=2, generator=torch.Generator(), params=FitnetParams(stage=5)
        )
    assert "both have: stage1, stage2" in str(caught.value)


def test_outputs_without_the_stage_fail_the_trial() -> None:
    regressor = Regressor("stage2", 3, 3, torch.Generator())
    bare = Outputs(torch.zeros(1, 2))
    with pytest.raises(TrialError, match=r"compares stage2"):
        regressor(bare, bare, torch.arange(1))
