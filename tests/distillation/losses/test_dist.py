from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

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
