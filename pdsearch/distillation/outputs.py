"""Network outputs passed to a loss: logits and, if the loss requests them, named features."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Outputs:
    """Outputs of one network for one batch.

    Args:
        logits: (B, classes).
        features: Feature maps or pooled features by name, (B, ...); empty unless the loss declares them.
    """

    logits: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
