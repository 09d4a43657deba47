"""Decoupled distillation: the label's share and the shares among the other classes are taught apart."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from pdsearch.distillation.compared_outputs import (
    cross_entropy,
    divergence,
    hard_weight,
    log_softened,
    logit_pair,
    standardised_first,
)
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class DkdParams:
    """Parameters of dkd; the defaults are those of the official code for CIFAR-100."""

    temperature: float = parameter(4.0, help="softens both distributions", low=0.5, high=50.0, log=True)
    target_weight: float = parameter(
        1.0, help="weight of the label's share (the paper's alpha)", low=0.0, high=20.0
    )
    other_weight: float = parameter(
        8.0, help="weight of the other classes (the paper's beta)", low=0.0, high=20.0
    )
    hard_weight: float = hard_weight()
    standardise: bool = standardised_first()
    warmup_epochs: int = parameter(
        0, help="epochs in which both soft terms grow to their weights", low=0, high=1_000, later=True
    )


def warmed_up(params: DkdParams, epoch: int) -> DkdParams:
    """Return the parameters in force in an epoch, counted from 1: soft terms weigh min(epoch / warmup_epochs, 1)."""
    if epoch >= params.warmup_epochs:
        return params
    share = epoch / params.warmup_epochs
    return replace(
        params, target_weight=params.target_weight * share, other_weight=params.other_weight * share
    )


@distillation_loss("dkd", params=DkdParams, at_epoch=warmed_up)
def dkd_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: DkdParams) -> Tensor:
    """Teach how sure to be of the label, and what to make of the other classes, as two terms.

    loss = hard * CE + T^2 * (target * KL of (p_label, 1 - p_label) + other * KL among the other classes).
    With both weights at 1 and at 1 - p_label of the teacher the two are plain KL. Targets that are
    probabilities count by their largest class. In epoch e of the first `warmup_epochs` both terms are multiplied
    by e / warmup_epochs; the official code has 20, here none is the default.

    When:
        Where a teacher is sure of its labels, so that kd says little of the other classes. `other_weight`
        depends on the teacher: search it. With a teacher that is very sure the first steps are large: take
        `warmup_epochs`, 20 in the official code, or a smaller learning rate.

    Cost:
        As kd.

    Source:
        Zhao, Cui, Song, Qiu, Liang, "Decoupled knowledge distillation", CVPR 2022, arXiv 2203.08679, equation
        7.
    """
    ours, theirs = logit_pair(student, teacher, standardise=params.standardise)
    t = params.temperature
    label = targets if targets.dim() == 1 else targets.argmax(dim=1)
    own = label[:, None]  # (batch, 1)
    target_term = divergence(_sureness(ours / t, own), _sureness(theirs / t, own))
    other_term = divergence(log_softened(_others(ours, own), t), log_softened(_others(theirs, own), t))
    soft = params.target_weight * target_term + params.other_weight * other_term
    return params.hard_weight * cross_entropy(student.logits, targets) + t**2 * soft


def _others(logits: Tensor, own: Tensor) -> Tensor:
    """The logits of the classes that are not the label, (batch, classes - 1)."""
    classes = torch.arange(logits.shape[1] - 1, device=logits.device)
    # By indices: the result size of a boolean mask would need a synchronisation with the GPU.
    return logits.gather(1, classes + (classes >= own))


def _sureness(logits: Tensor, own: Tensor) -> Tensor:
    """Log (p_label, 1 - p_label), (batch, 2); by logsumexp, since 1 - p loses all precision near p = 1."""
    logs = functional.log_softmax(logits, dim=1)
    return torch.stack([logs.gather(1, own)[:, 0], torch.logsumexp(_others(logs, own), dim=1)], dim=1)
