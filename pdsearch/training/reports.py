"""The report of a training run after each epoch."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from pdsearch.errors import TrialError
from pdsearch.specs import Json


@dataclass(frozen=True)
class EpochReport:
    """The report of one finished epoch.

    Args:
        epoch: Number of the epoch, from 1.
        epochs: Epochs the training will take.
        loss: Mean training loss over the epoch's images; finite.
        val_accuracy: Result of `evaluate` after the epoch, in [0, 1]; finite. None if not measured.
        lr: Learning rate of the epoch's last step.
        seconds: Wall time of the epoch, evaluation included.

    Raises:
        TrialError: Loss or accuracy is not finite: the training diverged.
    """

    epoch: int
    epochs: int
    loss: float
    val_accuracy: float | None
    lr: float
    seconds: float

    def __post_init__(self) -> None:
        for name in ("loss", "val_accuracy"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise TrialError(f"diverged in epoch {self.epoch} of {self.epochs}: {name} is not finite")

    def to_json(self) -> dict[str, Json]:
        """Return the report as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "EpochReport":
        """Rebuild a report from `to_json`, exactly."""
        return cls(**value)
