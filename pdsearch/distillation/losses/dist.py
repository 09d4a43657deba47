"""DIST: correlation with the teacher, in rows and columns; relations count, not values."""

from dataclasses import dataclass

from torch import Tensor

from pdsearch.distillation.compared_outputs import (
    cross_entropy,
    hard_weight,
    log_softened,
    logit_pair,
    standardised_first,
)
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter

TINY = 1e-8
"""Below this length a row counts as constant. (The official code adds it to the product of both lengths.)"""


@dataclass(frozen=True)
class DistParams:
    """Parameters of dist; the defaults are the paper's for CIFAR-100."""

    temperature: float = parameter(4.0, help="softens both distributions", low=0.5, high=50.0, log=True)
    hard_weight: float = hard_weight()
    inter_weight: float = parameter(2.0, help="weight of the relations between classes", low=0.0, high=20.0)
    intra_weight: float = parameter(2.0, help="weight of the relations between images", low=0.0, high=20.0)
    standardise: bool = standardised_first()


@distillation_loss("dist", params=DistParams)
def dist_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: DistParams) -> Tensor:
    """Ask for correlation with the teacher's distribution instead of equality.

    loss = hard * CE + T^2 * (inter * (1 - mean correlation of rows) + intra * (1 - mean correlation of
    columns)) of the softened probabilities; rows are images, columns classes. Correlation is Pearson's.

    When:
        Where the teacher is far stronger than the student, which cannot follow its probabilities but may keep
        their order.

    Cost:
        As kd.

    Source:
        Huang, You, Wang, Qian, Xu, "Knowledge distillation from a stronger teacher", NeurIPS 2022,
        arXiv 2205.10536, equations 8 to 10; T^2 as in the official code.
    """
    ours, theirs = logit_pair(student, teacher, standardise=params.standardise)
    p, q = log_softened(ours, params.temperature).exp(), log_softened(theirs, params.temperature).exp()
    inter, intra = 1 - _correlation(p, q).mean(), 1 - _correlation(p.T, q.T).mean()
    soft = params.inter_weight * inter + params.intra_weight * intra
    return params.hard_weight * cross_entropy(student.logits, targets) + params.temperature**2 * soft


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Pearson's correlation of each row of x with that of y; 0 where one is constant."""
    return (_unit(x) * _unit(y)).sum(dim=1)


def _unit(rows: Tensor) -> Tensor:
    """Rows of mean 0 and length 1; a constant row becomes 0."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    length: Tensor = centred.norm(dim=1, keepdim=True)
    return centred / length.clamp_min(TINY)
