"""Hinton's distillation loss: softened labels, one weight between its two terms."""

from dataclasses import dataclass

from torch import Tensor

from pdsearch.distillation.compared_outputs import (
    cross_entropy,
    divergence,
    log_softened,
    logit_pair,
    standardised_first,
)
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class KdParams:
    """Parameters of kd; the defaults are those of arXiv 2109.14960's code."""

    temperature: float = parameter(
        10.0, help="softens both distributions; 1 leaves them", low=0.5, high=50.0, log=True
    )
    alpha: float = parameter(
        0.95, help="weight of the soft term; the hard term has 1 - alpha", low=0.0, high=1.0
    )
    standardise: bool = standardised_first()


@distillation_loss("kd", params=KdParams)
def kd_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: KdParams) -> Tensor:
    """Soften the labels with the teacher's distribution.

    loss = alpha * T^2 * KL(teacher_T || student_T) + (1 - alpha) * CE(student, targets), in nats, mean over
    the batch. T^2 keeps the soft gradient's size as T grows. With `standardise` the soft term alone sees
    standardised logits.

    When:
        To begin with, and the paper's loss. Temperature and alpha depend on the pair and cost nothing to try:
        search both.

    Cost:
        Next to nothing: the teacher's logits are computed once for all trials that share its views.

    Source:
        Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015, arXiv 1503.02531, section
        2; alpha as in the official code of Park, No, arXiv 2109.14960.
    """
    ours, theirs = logit_pair(student, teacher, standardise=params.standardise)
    t = params.temperature
    soft = divergence(log_softened(ours, t), log_softened(theirs, t)) * t**2
    return params.alpha * soft + (1 - params.alpha) * cross_entropy(student.logits, targets)
