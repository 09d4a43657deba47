"""Outputs of a network that a loss may see: its logits and, where it asks for them, named feature maps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

__all__ = ["Outputs"]


@dataclass(frozen=True)
class Outputs:
    """Outputs of one network for one batch.

    Args:
        logits: (B, classes).
        features: Feature maps or pooled features by name, (B, ...); empty unless the loss declares them.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
