import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.ce import ce_loss
from pdsearch.distillation.losses.dkd import DkdParams, dkd_loss, warmed_up
from pdsearch.distillation.losses.kd import KdParams, kd_loss
from pdsearch.registry import NoParams


def definition(params: DkdParams) -> Any:
    """Equation 7, image by image and class by class."""

    def loss(student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        total = 0.0
        for s, t, y in zip(student.tolist(), teacher.tolist(), targets.tolist(), strict=True):
            p, q = soft(t, params.temperature), soft(s, params.temperature)
            target = p[y] * math.log(p[y] / q[y]) + (1 - p[y]) * math.log((1 - p[y]) / (1 - q[y]))
            others = [k for k in range(len(s)) if k != y]
            p_hat, q_hat = [p[k] / (1 - p[y]) for k in others], [q[k] / (1 - q[y]) for k in others]
            other = sum(a * math.log(a / b) for a, b in zip(p_hat, q_hat, strict=True))
            total += params.temperature**2 * (params.target_weight * target + params.other_weight * other)
            total -= params.hard_weight * math.log(soft(s, 1.0)[y])
        return torch.tensor(total / len(targets), dtype=torch.float64)

    return loss


def soft(row: list[float], temperature: float) -> list[float]:
    exponentials = [math.exp(value / temperature) for value in row]
    return [value / sum(exponentials) for value in exponentials]


@pytest.mark.parametrize(
    "params",
    [
        DkdParams(),
        DkdParams(temperature=1.0, target_weight=0.0),
        DkdParams(temperature=20.0, other_weight=0.0),
    ],
)
def test_equals_the_definition(agrees: Any, params: DkdParams) -> None:
    agrees(dkd_loss, params, definition(params))


def test_without_soft_terms_it_is_cross_entropy(case: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, targets = case
    params = DkdParams(target_weight=0.0, other_weight=0.0)
    assert torch.equal(
        dkd_loss(Outputs(student), Outputs(teacher), targets, params),
        ce_loss(Outputs(student), Outputs(student), targets, NoParams()),
    )


def test_the_two_terms_make_up_plain_distillation(case: tuple[Tensor, Tensor, Tensor]) -> None:
    """KL = target term + (1 - p_label) * other term, image by image (equation 5)."""
    student, teacher, targets = case
    for i in range(len(targets)):
        s, t, y = Outputs(student[i : i + 1]), Outputs(teacher[i : i + 1]), targets[i : i + 1]
        rest = 1 - float(torch.softmax(teacher[i] / 4, 0)[targets[i]])
        whole = kd_loss(s, t, y, KdParams(temperature=4.0, alpha=1.0))
        parts = dkd_loss(s, t, y, DkdParams(hard_weight=0.0, other_weight=rest))
        torch.testing.assert_close(parts, whole, rtol=1e-9, atol=0)


def test_an_equal_teacher_has_nothing_to_teach(case: tuple[Tensor, Tensor, Tensor]) -> None:
    student = case[0].clone().requires_grad_()
    value = dkd_loss(Outputs(student), Outputs(case[0]), case[2], DkdParams(hard_weight=0.0))
    (gradient,) = torch.autograd.grad(value, student)
    assert abs(value.item()) < 1e-12
    assert float(gradient.abs().max()) < 1e-12


def test_a_constant_on_the_logits_changes_nothing(case: tuple[Tensor, Tensor, Tensor]) -> None:
    student, teacher, targets = case
    first = dkd_loss(Outputs(student), Outputs(teacher), targets, DkdParams())
    second = dkd_loss(Outputs(student + 7), Outputs(teacher - 3), targets, DkdParams())
    torch.testing.assert_close(first, second, rtol=1e-12, atol=0)


def test_soft_terms_grow_by_equal_steps_and_the_hard_term_does_not() -> None:
    """Epochs count from 1, as in the official code: min(epoch / 20, 1)."""
    params = DkdParams(warmup_epochs=20)
    for epoch, share in ((1, 0.05), (10, 0.5), (19, 0.95), (20, 1.0), (240, 1.0)):
        now = warmed_up(params, epoch)
        assert now.target_weight == pytest.approx(share)
        assert now.other_weight == pytest.approx(8 * share)
        assert (now.hard_weight, now.temperature) == (1.0, 4.0)
    assert warmed_up(DkdParams(), 1) == DkdParams()
