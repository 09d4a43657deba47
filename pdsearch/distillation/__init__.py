"""Distillation losses and the outputs they compare. The registry is `pdsearch.distillation.registry.losses`."""

from pdsearch.distillation.compared_outputs import wanted
from pdsearch.distillation.registry import DistillationLoss, FeatureShapes, Outputs, distillation_loss, teach
