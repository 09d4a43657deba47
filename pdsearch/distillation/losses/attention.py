"""Attention transfer: the student's attention maps match the teacher's, stage by stage."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pdsearch.distillation.compared_outputs import cross_entropy, hard_weight, same_size, stage_pairs
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class AttentionParams:
    """Parameters of attention; the default weight is the official code's."""

    attention_weight: float = parameter(1000.0, help="weight of the maps' difference", low=0.0, high=10000.0)
    hard_weight: float = hard_weight()


@distillation_loss("attention", params=AttentionParams, features=("stage*",))
def attention_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: AttentionParams) -> Tensor:
    """Match where the stages are active: loss = hard * CE + weight * sum over stages of mean (q(s) - q(t))^2.

    q is the mean of squares over channels, as one vector of length 1 an image. Stages are paired from the
    deepest back; the larger map is averaged down to the smaller.

    When:
        Where widths differ and places matter: it compares where stages are active, not what they hold.

    Cost:
        The teacher runs in every step; the comparison is cheap.

    Source:
        Zagoruyko, Komodakis, "Paying more attention to attention", ICLR 2017, arXiv 1612.03928, equation 2,
        with the mean over positions of the official code.
    """
    gaps = []
    for pair in stage_pairs(student, teacher):
        ours, theirs = (_attention(maps) for maps in same_size(*pair))
        gaps.append(functional.mse_loss(ours, theirs))
    attention = torch.stack(gaps).sum()
    return params.attention_weight * attention + params.hard_weight * cross_entropy(student.logits, targets)


def _attention(maps: Tensor) -> Tensor:
    """Mean square over channels, flat and of length 1: (B, C, H, W) to (B, H W)."""
    return functional.normalize(maps.square().mean(dim=1).flatten(1), dim=1)
