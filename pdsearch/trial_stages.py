"""The stages of a trial as functions to call by hand: train a teacher, prune it, distill it into a student.

They are the stages that a search runs, under the same keys: results of a search are reused here, and results made here
are reused by a search in the same storage.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import nn

from pdsearch.artifacts import open_store
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.registry import sources
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError
from pdsearch.io import place
from pdsearch.models import copied, file_hash
from pdsearch.pipeline import keys
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import dataset
from pdsearch.pipeline.distill import distilled_student as distill_stage
from pdsearch.pipeline.networks import Teacher, measure_accuracy
from pdsearch.pipeline.prune import teacher as teacher_stage
from pdsearch.pipeline.student import student as student_stage
from pdsearch.protocol import Event, Progress, Report
from pdsearch.pruning import check_spec
from pdsearch.pruning.registry import methods
from pdsearch.registry import make_params, whole_params
from pdsearch.search.resolved import Description
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, StudentSpec, TeacherSpec, TrialSpec
from pdsearch.training.device import pick_device
from pdsearch.user_code import source_hash

T = TypeVar("T")
Tell = Callable[[Event], None]
"""Called with an event at the end of every epoch."""


@dataclass(frozen=True)
class _Workspace:
    """What the stages of one teacher share: the images, the site and the callback for events."""

    data: Dataset
    site: WorkerContext
    tell: Tell


@dataclass(frozen=True)
class TrainedTeacher:
    """A trained teacher, dense or pruned.

    Args:
        model: The network, in evaluation mode: (B, C, H, W) normalised images to (B, classes) logits. It is a
            copy: later stages start from what is stored, whatever is done to it.
        val_accuracy: Share of the validation images it gets right, in [0, 1]; None where none were cut off.
        sparsity: Share of the prunable weights (or channels) that are removed, in [0, 1).
        key: Key of its artifact.
        spec: The specification it was made by.
    """

    model: nn.Module = field(repr=False)
    val_accuracy: float | None
    sparsity: float
    key: str
    spec: TrialSpec = field(repr=False)
    _workspace: _Workspace = field(repr=False)


@dataclass(frozen=True)
class TrainedStudent:
    """A trained student.

    Args:
        model: The network, in evaluation mode: (B, C, H, W) normalised images to (B, classes) logits.
        val_accuracy: Share of the validation images it gets right, in [0, 1]; None where none were cut off.
        reports: One report per epoch: epoch, epochs, val_accuracy, loss.
        key: Key of its artifact.
        spec: The specification of the whole trial.
    """

    model: nn.Module = field(repr=False)
    val_accuracy: float | None
    reports: tuple[Report, ...]
    key: str
    spec: TrialSpec = field(repr=False)
    _workspace: _Workspace = field(repr=False)

    def test_accuracy(self) -> float:
        """Return the share of the test images it gets right, in [0, 1]. Call it once, at the end."""
        work = self._workspace
        return measure_accuracy(self.model, work.data, "test", work.site, self.spec.precision)


def train_teacher(
    data: DataSpec,
    teacher: TeacherSpec,
    *,
    storage: str | Path = "runs",
    device: str | None = None,
    precision: str = "fp32",
    on_event: Tell = lambda _event: None,
) -> TrainedTeacher:
    """Train a teacher, or load it if the storage has it.

    Args:
        data: The images.
        teacher: The network, its seed and its recipe.
        storage: A folder, or s3://bucket/prefix, for artifacts and checkpoints; may be shared with searches.
        device: "cpu", "cuda", "cuda:1"; if not given, a GPU where there is one.
        precision: "fp32", "bf16" or "fp16": precision of this teacher and of all that is made from it.
        on_event: Called with an event at the end of every epoch.

    Raises:
        ConfigError: A name is unknown, or an option or parameter is invalid.
        DataError: The images are missing or broken.
        StorageError: The storage cannot be read or written.
    """
    if precision not in ("fp32", "bf16", "fp16"):
        raise ConfigError(f"unknown precision {precision!r}", hint="known: fp32, bf16, fp16")
    root = place(str(storage))
    picked = device or pick_device(float(torch.cuda.is_available()))
    site = WorkerContext(open_store(root / "artifacts"), root / "progress", device=picked)
    fingerprint = sources.get(data.source).fingerprint(data)
    # A teacher does not depend on its students, so that any will do here.
    spec = TrialSpec(data, teacher, StudentSpec("from_teacher"), DistillSpec(teacher.recipe))
    spec = _completed(spec, fingerprint, precision)
    images = _run(dataset(spec.data, site), on_event)
    return _teacher(spec, _Workspace(images, site, on_event))


def prune(teacher: TrainedTeacher, how: PruneSpec) -> TrainedTeacher:
    """Prune a teacher and let it recover, round by round, or load the result if the storage has it.

    Args:
        teacher: A dense one.
        how: The method, the ratio and what follows each round.

    Raises:
        ConfigError: The teacher is pruned already, or the method is unknown or does not fit the other settings.
    """
    if teacher.spec.prune is not None:
        raise ConfigError("the teacher is pruned already", hint="give the dense one and the whole ratio")
    method = methods.get(how.method)
    check_spec(how, method)
    spec = replace(teacher.spec, prune=replace(how, params=whole_params(method.params, how.params)))
    return _teacher(_completed(spec, spec.data.fingerprint, spec.precision), teacher._workspace)


def distill(teacher: TrainedTeacher, student: StudentSpec, how: DistillSpec) -> TrainedStudent:
    """Distill a teacher into a student, or load the student if the storage has it.

    Args:
        teacher: Dense or pruned.
        student: A network, or `StudentSpec("from_teacher")`, whose shape follows the pruned teacher's masks.
        how: The loss, its parameters, the recipe and the seeds; the loss "ce" uses no teacher.

    Raises:
        ConfigError: The loss or the network is unknown, or a parameter is invalid.
    """
    kind, work = losses.get(how.loss).params, teacher._workspace
    make_params(kind, how.params, where=f"distill.{how.loss}")
    how = replace(how, params=whole_params(kind, how.params))
    spec = replace(teacher.spec, student=student, distill=how)
    spec = _completed(spec, spec.data.fingerprint, spec.precision)
    teaches = _run(teacher_stage(spec, work.data, work.site), work.tell) if keys.needs_teacher(spec) else None
    begins = keys.starting(spec)
    start = _run(teacher_stage(begins, work.data, work.site), work.tell) if student.is_kept else teaches
    untrained = student_stage(begins, work.data, start, work.site)
    reports: list[Report] = []

    def tell(event: Event) -> None:
        if isinstance(event, Report):
            reports.append(event)
        work.tell(event)

    taught = _run(distill_stage(spec, work.data, teaches, untrained, work.site), tell)
    model = untrained.model.eval()
    return TrainedStudent(model, taught.val_accuracy, tuple(reports), taught.key, spec, work)


def _teacher(spec: TrialSpec, work: _Workspace) -> TrainedTeacher:
    found: Teacher = _run(teacher_stage(spec, work.data, work.site), work.tell)
    accuracy, sparsity = found.meta["val_accuracy"], found.meta.get("sparsity", 0.0)
    known = accuracy if isinstance(accuracy, float) else None
    return TrainedTeacher(copied(found.model), known, cast("float", sparsity), found.key, spec, work)


class _Hashes(dict[str, str]):
    """The hashes of files by name, each computed when it is asked for."""

    def __init__(self, of: Callable[[str], str]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, name: str) -> str:
        return self._of(name)


def _completed(spec: TrialSpec, fingerprint: str, precision: str) -> TrialSpec:
    """Return a specification with what a study resolves when it opens: hashes, full names and absolute paths."""
    teacher = replace(spec.teacher, options=tuple(sorted(spec.teacher.options)))
    student = replace(spec.student, options=tuple(sorted(spec.student.options)))
    data = replace(spec.data, options=tuple(sorted(spec.data.options)))
    spec = replace(spec, data=data, teacher=teacher, student=student)
    return Description(
        fingerprint, precision, checkpoints=_Hashes(file_hash), code=_Hashes(source_hash)
    ).complete(spec)


def _run(stage: Generator[Progress | Report, None, T], tell: Tell) -> T:
    while True:
        try:
            tell(next(stage))
        except StopIteration as end:
            return cast("T", end.value)
