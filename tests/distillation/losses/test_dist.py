import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.dist import DistParams, dist_loss


def definition(params: DistParams) -> Any:
    """Equations 8 to 10 with numpy's correlation."""

    def loss(student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        p, q = (torch.softmax(z / params.temperature, 1).numpy() for z in (student, teacher))
        inter = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p, q, strict=True)])
        intra = 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(p.T, q.T, strict=True)])
        hard = -np.mean([float(torch.log_softmax(s, 0)[y]) for s, y in zip(student, targets, strict=True)])
        value = params.hard_weight * hard
        value += params.temperature**2 * (params.inter_weight * inter + params.intra_weight * intra)
        return torch.tensor(value, dtype=torch.float64)

    return loss


@pytest.mark.parametrize(
    "params",
    [
        DistParams(),
        DistParams(temperature=1.0, inter_weight=0.0),
        DistParams(intra_weight=0.0, hard_weight=0.0),
    ],
)
def test_equals_the_definition(agrees: Any, params: DistParams) -> None:
    agrees(dist_loss, params, definition(params))


def test_an_equal_teacher_has_nothing_to_teach(case: tuple[Tensor, Tensor, Tensor]) -> None:
    student = case[0].clone().requires_grad_()
    value = dist_loss(Outputs(student), Outputs(case[0]), case[2], DistParams(hard_weight=0.0))
    (gradient,) = torch.autograd.grad(value, student)
    assert abs(value.item()) < 1e-12
    assert float(gradient.abs().max()) < 1e-12


def test_a_teacher_twice_as_far_from_its_mean_teaches_the_same() -> None:
    """Relations count, not values: rows of equal correlation give the same loss."""
    student = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], dtype=torch.float64)
    mild = torch.tensor([[0.3, 0.33, 0.37], [0.4, 0.34, 0.26]], dtype=torch.float64)
    strong = 1 / 3 + 1.5 * (mild - 1 / 3)
    params = DistParams(temperature=1.0, hard_weight=0.0, intra_weight=0.0)
    values = [
        dist_loss(Outputs(student.log()), Outputs(t.log()), torch.tensor([0, 1]), params)
        for t in (mild, strong)
    ]
    torch.testing.assert_close(values[0], values[1], rtol=1e-9, atol=0)


def test_opposite_predictions_cost_two() -> None:
    student = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)
    params = DistParams(temperature=1.0, hard_weight=0.0, inter_weight=1.0, intra_weight=0.0)
    value = dist_loss(Outputs(student), Outputs(student.flip(1)), torch.tensor([0]), params)
    assert value.item() == pytest.approx(2.0, abs=1e-12)
