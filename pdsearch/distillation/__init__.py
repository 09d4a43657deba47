"""Distillation: what a student is taught by. The registry is `pdsearch.distillation.registry.losses`."""

from pdsearch.distillation.outputs import Outputs
from pdsearch.distillation.registry import DistillationLoss, distillation_loss

__all__ = ["DistillationLoss", "Outputs", "distillation_loss"]
