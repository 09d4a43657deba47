"""Search for the teacher a student learns best from: prune, distill, rank, export.

The names below are public and documented in docs/api.md; everything else is private and may change. Each is imported
on first use, so that `import pdsearch` imports none of torch, ray and optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pdsearch.analysis.ranked import Ranked, Ranking
    from pdsearch.api import StudyResults, export, load_space, open_study, run
    from pdsearch.config import Space
    from pdsearch.data.registry import (
        Augmentation,
        Images,
        Mixing,
        RawData,
        Source,
        augmentation,
        data_source,
    )
    from pdsearch.distillation.compared_outputs import cross_entropy, divergence, log_softened, logit_pair
    from pdsearch.distillation.registry import Outputs, distillation_loss
    from pdsearch.errors import ConfigError, DataError, PdsearchError, StorageError
    from pdsearch.exporting.student_file import load_preprocess, load_student, load_teacher, read_card
    from pdsearch.models.network import Network, StagedNetwork
    from pdsearch.models.registry import model
    from pdsearch.observer import Observer
    from pdsearch.protocol import Event, Job, Outcome, Progress, Report
    from pdsearch.pruning.gradients import loss_gradients, probe
    from pdsearch.pruning.prunable import prunable
    from pdsearch.pruning.registry import Batches, pruning_method
    from pdsearch.records.trial_record import TrialRecord
    from pdsearch.registry import NoParams, parameter
    from pdsearch.search.optuna_backend.sampler import sampler
    from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec
    from pdsearch.trial_stages import TrainedStudent, TrainedTeacher, distill, prune, train_teacher
    from pdsearch.user_code import Options

__version__ = "0.2.0"

__all__ = [
    "Augmentation",
    "Batches",
    "ConfigError",
    "DataError",
    "DataSpec",
    "DistillSpec",
    "Event",
    "Images",
    "Job",
    "Mixing",
    "Network",
    "NoParams",
    "Observer",
    "Options",
    "Outcome",
    "Outputs",
    "PdsearchError",
    "Progress",
    "PruneSpec",
    "Ranked",
    "Ranking",
    "RawData",
    "Recipe",
    "Report",
    "Source",
    "Space",
    "StagedNetwork",
    "StorageError",
    "StudentSpec",
    "StudyResults",
    "TeacherSpec",
    "TrainedStudent",
    "TrainedTeacher",
    "TrialRecord",
    "TrialSpec",
    "__version__",
    "augmentation",
    "cross_entropy",
    "data_source",
    "distill",
    "distillation_loss",
    "divergence",
    "export",
    "load_preprocess",
    "load_space",
    "load_student",
    "load_teacher",
    "log_softened",
    "logit_pair",
    "loss_gradients",
    "model",
    "open_study",
    "parameter",
    "probe",
    "prunable",
    "prune",
    "pruning_method",
    "read_card",
    "run",
    "sampler",
    "train_teacher",
]

_HOMES: dict[str, str] = {
    "analysis.ranked": "Ranked Ranking",
    "api": "StudyResults export load_space open_study run",
    "config": "Space",
    "data.registry": "Augmentation Images Mixing RawData Source augmentation data_source",
    "distillation.registry": "Outputs distillation_loss",
    "distillation.compared_outputs": "cross_entropy divergence log_softened logit_pair",
    "errors": "ConfigError DataError PdsearchError StorageError",
    "exporting.student_file": "load_preprocess load_student load_teacher read_card",
    "models.network": "Network StagedNetwork",
    "models.registry": "model",
    "observer": "Observer",
    "protocol": "Event Job Outcome Progress Report",
    "pruning.gradients": "loss_gradients probe",
    "pruning.prunable": "prunable",
    "pruning.registry": "Batches pruning_method",
    "registry": "NoParams parameter",
    "search.optuna_backend.sampler": "sampler",
    "specs": "DataSpec DistillSpec PruneSpec Recipe StudentSpec TeacherSpec TrialSpec",
    "records.trial_record": "TrialRecord",
    "trial_stages": "TrainedStudent TrainedTeacher distill prune train_teacher",
    "user_code": "Options",
}
"""Module -> the public names that it defines; must equal the imports above, which type checkers read."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names.split():
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
