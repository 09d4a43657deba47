"""The dense teacher: trained once for all trials, studies and nodes, or loaded from a checkpoint trained elsewhere."""

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path

from torch import nn

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.errors import ConfigError, DataError
from pdsearch.models import file_hash, load_checkpoint, without_weights
from pdsearch.pipeline.cache import Made, obtain, tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import dense_key, early_key
from pdsearch.pipeline.networks import Teacher, load_weights, network, network_tensors, untrained, validated
from pdsearch.pipeline.stage_training import Fitting, fit_teacher
from pdsearch.protocol import Progress
from pdsearch.pruning import Mask, prunable
from pdsearch.specs import TeacherSpec, TrialSpec, derive_seed

FEW = 0.01
"""Share of zeros that trained networks have by themselves."""


def dense_teacher(spec: TrialSpec, data: Dataset, site: WorkerContext) -> Generator[Progress, None, Teacher]:
    """Return the dense teacher of a trial, training it if the store lacks it."""
    key = dense_key(spec)

    def make() -> Generator[Progress, None, Made]:
        teacher = spec.teacher
        model = starting_point(teacher, data, site)
        if not teacher.trained_here:
            yield Progress("teacher", f"{teacher.model} from {Path(teacher.checkpoint or '').name}")
            site.engine(spec.precision).place(model)
            accuracy = validated(model, data, site, spec.precision)
            return Made(
                network_tensors(model), {"val_accuracy": accuracy, "epochs": 0, "sparsity": zeros(model)}
            )
        fitting = Fitting(spec, data, site, stage="teacher", key=key)
        seed = derive_seed(teacher.seed, "teacher")
        meta = yield from fit_teacher(fitting, model, note=teacher.model, recipe=teacher.recipe, seed=seed)
        return Made(network_tensors(model), meta)

    entry = yield from obtain(site, "teacher", key, make)
    return network(entry, spec, data, site)


def early_teacher(
    spec: TrialSpec, data: Dataset, site: WorkerContext, epoch: int
) -> Generator[Progress, None, nn.Module]:
    """Return the dense teacher as it was after an epoch of its training, on the CPU, not in evaluation mode.

    Its first epochs are trained again by the full recipe, which gives the same weights: existing teachers stay valid,
    and early weights are stored only if some pruning rewinds to them.

    Source:
        Frankle, Dziugaite, Roy, Carbin, "Linear mode connectivity and the lottery ticket hypothesis", ICML 2020,
        arXiv 1912.05671, section 2 (rewinding to an iteration k).
    """
    key, teacher = early_key(spec, epoch), spec.teacher

    def make() -> Generator[Progress, None, Made]:
        model = starting_point(teacher, data, site)
        fitting = Fitting(spec, data, site, stage="teacher", key=key)
        note, seed = f"{teacher.model} to epoch {epoch}", derive_seed(teacher.seed, "teacher")
        training = fit_teacher(fitting, model, note=note, recipe=teacher.recipe, seed=seed)
        with closing(training):
            yield from islice(training, epoch)
            return Made(network_tensors(model), {"epoch": epoch})

    entry = yield from obtain(site, "early", key, make)
    model = _filled_later(teacher, data, site)
    load_weights(model, tensors(entry), where=str(entry.folder))
    return model


def starting_point(teacher: TeacherSpec, data: Dataset, site: WorkerContext) -> nn.Module:
    """Return the network before training: random weights, published ones, or those of a checkpoint.

    Raises:
        ConfigError: The checkpoint cannot be read as weights, or does not fit the network.
        DataError: The checkpoint is broken or differs from the one the study began with, or published weights cannot
            be obtained.
    """
    if teacher.checkpoint is None:
        return untrained(teacher.model, teacher.options, data, teacher.seed, site)
    if teacher.fingerprint and file_hash(teacher.checkpoint) != teacher.fingerprint:
        hint = "put the file back, or begin another study"
        raise DataError("not the checkpoint the study began with", where=teacher.checkpoint, hint=hint)
    model = _filled_later(teacher, data, site)
    load_checkpoint(
        model,
        teacher.checkpoint,
        key=teacher.checkpoint_key,
        fresh_head=teacher.head == "fresh",
        classes=data.num_classes,
    )
    return model


def zeros(model: nn.Module) -> float:
    """Return the share of a network's prunable weights that are zero, in [0, 1]; 0 where it is below a hundredth."""
    try:
        weights = prunable(model)
    except ConfigError:  # Some networks have none.
        return 0.0
    share = Mask({name: weight != 0 for name, weight in weights.items()}).sparsity
    return share if share >= FEW else 0.0


def _filled_later(teacher: TeacherSpec, data: Dataset, site: WorkerContext) -> nn.Module:
    """Return the network for weights that are known already: published ones are not asked for."""
    options = without_weights(teacher.model, teacher.options)
    return untrained(teacher.model, options, data, teacher.seed, site)
