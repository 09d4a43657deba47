import pytest
import torch

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.hard_label import HardLabelParams, hard_label_loss

PARAMS = HardLabelParams(teacher_weight=0.3, hard_weight=0.9, smoothing=0.1)


@pytest.mark.parametrize("mixed", [False, True])
def test_equals_the_definition_and_its_gradient(mixed: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 4, 2, 2])
    shares = torch.full((4, 5), 0.1, dtype=torch.float64)
    shares[torch.arange(4), labels] = 0.6
    targets = shares if mixed else labels
    value = hard_label_loss(Outputs(student), Outputs(teacher), targets, PARAMS)
    (gradient,) = torch.autograd.grad(value, student)
    expected, slope = 0.0, torch.zeros(4, 5, dtype=torch.float64)
    for b in range(4):
        p = student[b].detach().exp() / student[b].detach().exp().sum()
        best = max(range(5), key=lambda c, b=b: float(teacher[b, c]))  # type: ignore[misc]
        for c in range(5):
            y = float(shares[b, c]) if mixed else float(c == int(labels[b]))
            weight = 0.3 * (0.9 * (c == best) + 0.1 / 5) + 0.9 * y
            expected -= weight * float(p[c].log()) / 4
            slope[b, c] += ((0.3 + 0.9) * float(p[c]) - weight) / 4
    assert value.item() == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(gradient, slope, rtol=1e-6, atol=1e-12)
