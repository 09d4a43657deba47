import math

import pytest
import torch
from torch import Tensor

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.kd import KdParams, kd_loss
from pdsearch.errors import TrialError


def drawn(seed: int = 0, rows: int = 6, classes: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student = 3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    teacher = 4 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    return student.requires_grad_(), teacher, torch.randint(classes, (rows,), generator=generator)


def kd(student: Tensor, teacher: Tensor, targets: Tensor, **changes: float) -> Tensor:
    return kd_loss(Outputs(student), Outputs(teacher), targets, KdParams(**changes))  # type: ignore[arg-type]


def softmax(row: list[float], temperature: float) -> list[float]:
    exponentials = [math.exp(value / temperature) for value in row]
    return [value / sum(exponentials) for value in exponentials]


def definition(
    student: list[list[float]],
    teacher: list[list[float]],
    targets: list[int],
    temperature: float,
    alpha: float,
) -> float:
    """The loss as the papers print it: sums over images and classes, nothing merged."""
    soft = hard = 0.0
    for s, t, y in zip(student, teacher, targets, strict=True):
        p, q = softmax(t, temperature), softmax(s, temperature)
        soft += sum(pk * math.log(pk / qk) for pk, qk in zip(p, q, strict=True))
        hard -= math.log(softmax(s, 1.0)[y])
    return (alpha * temperature**2 * soft + (1 - alpha) * hard) / len(targets)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.95, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 10.0, 50.0])
def test_equals_the_definition(alpha: float, temperature: float) -> None:
    student, teacher, targets = drawn()
    value = kd(student, teacher, targets, alpha=alpha, temperature=temperature)
    expected = definition(student.tolist(), teacher.tolist(), targets.tolist(), temperature, alpha)
    assert value.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 4.0, 50.0])
def test_gradient_equals_the_definition(alpha: float, temperature: float) -> None:
    student, teacher, targets = drawn()
    kd(student, teacher, targets, alpha=alpha, temperature=temperature).backward()
    assert student.grad is not None
    for i, (s, t, y) in enumerate(zip(student.tolist(), teacher.tolist(), targets.tolist(), strict=True)):
        p, q, r = softmax(t, temperature), softmax(s, temperature), softmax(s, 1.0)
        for k in range(len(s)):
            soft, hard = temperature * (q[k] - p[k]), r[k] - (k == y)
            expected = (alpha * soft + (1 - alpha) * hard) / len(targets)
            assert float(student.grad[i, k]) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_standardise_leaves_the_hard_term_alone() -> None:
    student, teacher, targets = drawn()
    assert torch.equal(
        kd(student, teacher, targets, alpha=0.0, standardise=True), kd(student, teacher, targets, alpha=0.0)
    )


def test_mismatched_classes_fail_the_trial() -> None:
    with pytest.raises(TrialError, match=r"student logits \(2, 1\) do not match the teacher's \(2, 5\)"):
        kd(torch.zeros(2, 1), torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64))
