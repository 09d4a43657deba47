"""Log-probabilities at a temperature, in at least 32 bits, and their KL divergence."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional

from pdsearch.distillation.registry import Outputs
from pdsearch.errors import TrialError

TINY = 1e-7
"""Added to the standard deviation, as in the official code of logit standardisation."""


def logit_pair(student: Outputs, teacher: Outputs, *, standardise: bool = False) -> tuple[Tensor, Tensor]:
    """Return the logits of both networks, (batch, classes), float32 or wider; the teacher's carry no gradient.

    Args:
        student: Outputs of the network being trained.
        teacher: Outputs of the frozen teacher.
        standardise: Scale the logits of each image to mean 0 and standard deviation 1.

    Raises:
        TrialError: The shapes differ, which broadcasting would hide.
    """
    ours, theirs = at_least_single(student.logits), at_least_single(teacher.logits.detach())
    if ours.shape != theirs.shape:
        raise TrialError(
            f"student logits {tuple(ours.shape)} do not match the teacher's {tuple(theirs.shape)}"
        )
    return (standardised(ours), standardised(theirs)) if standardise else (ours, theirs)


def standardised(logits: Tensor) -> Tensor:
    """Return (z - mean) / (std + 1e-7) of each row, std with Bessel's correction.

    Source:
        Sun, Ren, Li, Wang, Cao, "Logit standardization in knowledge distillation", CVPR 2024, arXiv
        2403.01427, algorithm 1.
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    variance = centred.square().sum(dim=1, keepdim=True) / (logits.shape[1] - 1)
    # The derivative of the square root is infinite at 0, where all logits are equal.
    return centred / (variance.clamp_min(TINY**2).sqrt() + TINY)


def log_softened(logits: Tensor, temperature: float) -> Tensor:
    """Return log_softmax(logits / temperature), (batch, classes)."""
    return functional.log_softmax(logits / temperature, dim=1)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Return KL(teacher || student) of two log-probabilities (batch, classes): nats, mean over the batch."""
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy with class indices (batch,) or probabilities (batch, classes): nats, mean."""
    return functional.cross_entropy(at_least_single(logits), targets, label_smoothing=smoothing)


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast on a tensor's device; losses are called in it.

    Autocast would compute matrix products of a loss in 16 bits, whatever the type of its inputs.
    """
    return torch.autocast(tensor.device.type, enabled=False)


def at_least_single(logits: Tensor) -> Tensor:
    """Convert half-precision values to float32, for precise sums over a batch; others are unchanged."""
    return logits if logits.dtype == torch.float64 else logits.float()
