"""How is a network trained and measured, reproducibly, and resumed after a fault?"""

from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.engine import Engine, pick_device, resolve_precision
from pdsearch.training.evaluate import Batches, accuracy, check_answers, evaluating, logits
from pdsearch.training.loop import fit
from pdsearch.training.memory import keep_freed_memory
from pdsearch.training.objective import Objective, towards
from pdsearch.training.optim import make_optimizer
from pdsearch.training.order import batches, order
from pdsearch.training.report import EpochReport
from pdsearch.training.schedule import learning_rate
from pdsearch.training.seeding import reproducible

__all__ = [
    "Batches",
    "Checkpoint",
    "Engine",
    "EpochReport",
    "Objective",
    "accuracy",
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
    "towards",
]
