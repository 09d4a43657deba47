"""Training and evaluation of a network: reproducible, and resumable after an interruption."""

from pdsearch.training.batches import batches, order
from pdsearch.training.checkpoint import Checkpoint, EpochReport
from pdsearch.training.device import Engine, keep_freed_memory, pick_device, reproducible, resolve_precision
from pdsearch.training.evaluate import Batches, check_answers, evaluating, logits, right
from pdsearch.training.fit import Objective, fit, towards
from pdsearch.training.optim import learning_rate, make_optimizer

__all__ = [
    "Batches",
    "Checkpoint",
    "Engine",
    "EpochReport",
    "Objective",
    "batches",
    "check_answers",
    "evaluating",
    "fit",
    "keep_freed_memory",
    "learning_rate",
    "logits",
    "make_optimizer",
    "order",
    "pick_device",
    "reproducible",
    "resolve_precision",
    "right",
    "towards",
]
