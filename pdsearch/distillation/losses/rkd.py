"""Relational distillation: distances and angles between the images of a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pdsearch.distillation.compared_outputs import cross_entropy, full_precision, hard_weight, pooled_pair
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter

TINY = 1e-12


@dataclass(frozen=True)
class RkdParams:
    """Parameters of rkd; the default weights are the paper's for classification."""

    distance_weight: float = parameter(25.0, help="weight of the distances' difference", low=0.0, high=500.0)
    angle_weight: float = parameter(50.0, help="weight of the angles' difference", low=0.0, high=500.0)
    hard_weight: float = hard_weight()


@distillation_loss("rkd", params=RkdParams, features=("pooled",))
def rkd_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: RkdParams) -> Tensor:
    """Match all pairs' distances, over their mean, and all triples' cosines of angles, by Huber's loss.

    loss = hard * CE + distance * huber(d(s), d(t)) + angle * huber(cos(s), cos(t)), on pooled features.
    Memory for the angles grows with the cube of the batch.

    When:
        As similarity, on pooled features: only how images lie to one another counts, by distances and angles.

    Cost:
        The teacher runs in every step; memory and time grow with the cube of the batch.

    Source:
        Park, Kim, Lu, Cho, "Relational knowledge distillation", CVPR 2019, arXiv 1904.05068, equations 4 to
        9.
    """
    ours, theirs = pooled_pair(student, teacher)
    soft = params.distance_weight * functional.smooth_l1_loss(_distances(ours), _distances(theirs))
    soft = soft + params.angle_weight * functional.smooth_l1_loss(_cosines(ours), _cosines(theirs))
    return soft + params.hard_weight * cross_entropy(student.logits, targets)


def _distances(points: Tensor) -> Tensor:
    """Distances of all pairs over the mean of those that are not zero: (B, F) to (B, B)."""
    gaps = points[:, None] - points[None, :]
    squares = gaps.square().sum(dim=2)
    # The derivative of the square root is infinite at 0, on the diagonal.
    apart = squares > 0
    distances = torch.where(apart, squares, torch.ones_like(squares)).sqrt() * apart
    return distances / (distances.sum() / apart.sum().clamp_min(1)).clamp_min(TINY)


def _cosines(points: Tensor) -> Tensor:
    """Cosines of the angle at j between i and k: (B, F) to (B, B, B)."""
    directions = functional.normalize(points[:, None] - points[None, :], dim=2, eps=TINY)
    with full_precision(points):
        return torch.einsum("jif,jkf->jik", directions, directions)
