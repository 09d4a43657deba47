import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pdsearch.distillation.losses.dkd import DkdParams, dkd_loss, warmed_up


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


def test_soft_terms_grow_by_equal_steps_and_the_hard_term_does_not() -> None:
    """Epochs count from 1, as in the official code: min(epoch / 20, 1)."""
    params = DkdParams(warmup_epochs=20)
    for epoch, share in ((1, 0.05), (10, 0.5), (19, 0.95), (20, 1.0), (240, 1.0)):
        now = warmed_up(params, epoch)
        assert now.target_weight == pytest.approx(share)
        assert now.other_weight == pytest.approx(8 * share)
        assert (now.hard_weight, now.temperature) == (1.0, 4.0)
    assert warmed_up(DkdParams(), 1) == DkdParams()
