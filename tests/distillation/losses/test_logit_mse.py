from typing import Any

import pytest
import torch
from torch import Tensor

from pdsearch.distillation.losses.logit_mse import LogitMseParams, logit_mse_loss


def definition(params: LogitMseParams) -> Any:
    def loss(student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        rows, classes = student.shape
        soft, hard = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for s, t, y in zip(student, teacher, targets, strict=True):
            for k in range(classes):
                soft += (s[k] - t[k]) ** 2
            hard -= torch.log(torch.exp(s[y]) / torch.exp(s).sum())
        return params.soft_weight * soft / (rows * classes) + params.hard_weight * hard / rows

    return loss


@pytest.mark.parametrize(
    "params",
    [LogitMseParams(), LogitMseParams(hard_weight=0.0), LogitMseParams(soft_weight=0.0, hard_weight=2.0)],
)
def test_equals_the_definition(agrees: Any, params: LogitMseParams) -> None:
    agrees(logit_mse_loss, params, definition(params))
