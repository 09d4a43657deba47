from typing import Any

import pytest
import torch
from torch import Tensor

from pdsearch.distillation.losses.label_smoothing import LabelSmoothingParams, label_smoothing_loss


def definition(smoothing: float) -> Any:
    def loss(student: Tensor, _teacher: Tensor, targets: Tensor) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for s, y in zip(student, targets, strict=True):
            for k in range(len(s)):
                share = smoothing / len(s) + (1 - smoothing) * (k == int(y))
                total -= share * torch.log(torch.exp(s[k]) / torch.exp(s).sum())
        return total / len(targets)

    return loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_equals_the_definition(agrees: Any, smoothing: float) -> None:
    agrees(label_smoothing_loss, LabelSmoothingParams(smoothing), definition(smoothing))
