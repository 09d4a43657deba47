"""What losses compare, in at least 32 bits: logits, softened or standardised, and features; their divergence."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.distillation.registry import Outputs
from pdsearch.errors import ConfigError, TrialError
from pdsearch.registry import parameter

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


def wanted(patterns: Iterable[str], available: Iterable[str]) -> tuple[str, ...]:
    """Return the features of a network that a loss requests, in the network's order.

    Args:
        patterns: Names or globs such as "stage*", as declared by a loss.
        available: Names of the network's features.

    Raises:
        ConfigError: A pattern matches nothing.
    """
    offered, asked = tuple(available), tuple(patterns)
    for pattern in asked:
        if not any(fnmatchcase(name, pattern) for name in offered):
            hint = f"it has: {', '.join(offered) or 'none'}"
            raise ConfigError(f"this loss needs features {pattern!r}, which the network lacks", hint=hint)
    return tuple(name for name in offered if any(fnmatchcase(name, pattern) for pattern in asked))


def check_shows_features(network: nn.Module, loss: str, *, section: str, named: bool = False) -> None:
    """Check that a network provides the features that a loss compares.

    Args:
        network: Must have a method `features`, and a module `classifier` that takes the pooled features.
        loss: Name of the loss, for the message.
        section: "teacher" or "student", for the message.
        named: The layers to compare are named, so that it need not.

    Raises:
        ConfigError: It lacks one of them.
    """
    if named or callable(getattr(network, "logits_and_features", None)):
        return
    if not callable(getattr(network, "features", None)) or not isinstance(
        getattr(network, "classifier", None), nn.Module
    ):
        what = f"{loss} compares features, and {type(network).__name__} shows none"
        hint = f"name its layers as distill.{section}_layers, or choose a loss on logits"
        raise ConfigError(what, where="distill.loss", hint=hint)


def stage_pairs(student: Outputs, teacher: Outputs) -> list[tuple[Tensor, Tensor]]:
    """Return the feature maps of both networks' stages, paired from the deepest backwards; ordered shallow to deep.

    Raises:
        TrialError: A network has no stage features.
    """
    ours, theirs = (
        [f for name, f in o.features.items() if name.startswith("stage")] for o in (student, teacher)
    )
    if not ours or not theirs:
        raise TrialError("this loss compares stages, and a network shows none")
    count = min(len(ours), len(theirs))
    return [(s, t.detach()) for s, t in zip(ours[-count:], theirs[-count:], strict=True)]


def pooled_pair(student: Outputs, teacher: Outputs) -> tuple[Tensor, Tensor]:
    """Return both networks' pooled features, (B, F) each, float32 or wider; the teacher's carry no gradient.

    Raises:
        TrialError: A network has no pooled features.
    """
    try:
        ours, theirs = student.features["pooled"], teacher.features["pooled"].detach()
    except KeyError as error:
        raise TrialError("this loss compares pooled features, and a network shows none") from error
    return at_least_single(ours.flatten(1)), at_least_single(theirs.flatten(1))


def same_size(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Average the larger of two maps (B, C, H, W) down to the height and width of the smaller."""
    size = (min(ours.shape[2], theirs.shape[2]), min(ours.shape[3], theirs.shape[3]))
    shrunk = (
        maps if maps.shape[2:] == size else functional.adaptive_avg_pool2d(maps, size)
        for maps in (ours, theirs)
    )
    first, second = (at_least_single(maps) for maps in shrunk)
    return first, second


def hard_weight(default: float = 1.0) -> Any:
    """Return the parameter of losses that have a hard term."""
    return parameter(default, help="weight of the cross-entropy with the labels", low=0.0, high=10.0)


def standardised_first() -> Any:
    """Return the parameter of losses over logits that may be standardised."""
    return parameter(False, help="standardise both logits first (CVPR 2024)", choices=(False, True))
