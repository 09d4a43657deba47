"""Similarity-preserving distillation: images alike to the teacher become alike to the student."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from pdsearch.distillation.compared_outputs import (
    at_least_single,
    cross_entropy,
    full_precision,
    hard_weight,
    stage_pairs,
)
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class SimilarityParams:
    """Parameters of similarity; the default weight is the paper's for CIFAR-10."""

    similarity_weight: float = parameter(3000.0, help="weight of the difference", low=0.0, high=10000.0)
    hard_weight: float = hard_weight()


@distillation_loss("similarity", params=SimilarityParams, features=("stage*",))
def similarity_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: SimilarityParams) -> Tensor:
    """Match which images resemble each other: loss = hard * CE + weight * |G(s) - G(t)|^2 / B^2.

    G holds the products of all pairs of images' last feature maps, each row of length 1. Widths and sizes of
    the maps may differ.

    When:
        Where networks differ in widths, depth and sizes of maps: it compares images with one another, not
        maps.

    Cost:
        The teacher runs in every step; products of all pairs of a batch's last maps.

    Source:
        Tung, Mori, "Similarity-preserving knowledge distillation", ICCV 2019, arXiv 1907.09682, equations 1
        to 4.
    """
    ours, theirs = stage_pairs(student, teacher)[-1]
    gap = functional.mse_loss(_similarity(ours), _similarity(theirs))
    return params.similarity_weight * gap + params.hard_weight * cross_entropy(student.logits, targets)


def _similarity(maps: Tensor) -> Tensor:
    """Products of all pairs of images, rows of length 1: (B, C, H, W) to (B, B)."""
    rows = at_least_single(maps).flatten(1)
    with full_precision(rows):
        return functional.normalize(rows @ rows.T, dim=1)
