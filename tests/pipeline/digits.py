"""A hundred digits, the smallest networks, an epoch or two: a whole trial takes a tenth of a second."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pdsearch.artifacts import Store
from pdsearch.data.dataset.dataset import Dataset
from pdsearch.pipeline.cache import drain
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import dataset
from pdsearch.pipeline.keys import student_key
from pdsearch.pipeline.trial import run_job
from pdsearch.protocol import Event, Job, Outcome, Ready, Report
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec
from pdsearch.training.checkpoint import EpochPart, EpochReport
from pdsearch.training.fit import EpochRunner, Keep

T = TypeVar("T")

RECIPE = Recipe(epochs=2, lr=0.05, batch_size=8, weight_decay=5e-4, milestones=(1,))
SPEC = TrialSpec(
    data=DataSpec("digits", fingerprint="f" * 64, val_fraction=0.2, subset=100),
    teacher=TeacherSpec("convnet_s", 0, RECIPE),
    student=StudentSpec("convnet_s"),
    distill=DistillSpec(RECIPE, params=(("alpha", 0.5), ("temperature", 4.0))),
    prune=PruneSpec("magnitude", 0.36, RECIPE),
)
DENSE = replace(SPEC, prune=None)
ALONE = replace(DENSE, distill=replace(SPEC.distill, loss="ce", params=()))
MOVING = replace(SPEC, data=replace(SPEC.data, augment="crop"))


def pruned(spec: TrialSpec = SPEC, **fields: Any) -> TrialSpec:
    """The specification with fields of its pruning replaced."""
    assert spec.prune is not None
    return replace(spec, prune=replace(spec.prune, **fields))


def distilled(spec: TrialSpec = SPEC, **fields: Any) -> TrialSpec:
    """The specification with fields of its distillation replaced."""
    return replace(spec, distill=replace(spec.distill, **fields))


def site(folder: Path, **fields: Any) -> WorkerContext:
    """A fresh worker at a store."""
    return WorkerContext(Store(folder / "artifacts"), folder / "progress", **fields)


def data(spec: TrialSpec, at: WorkerContext) -> Dataset:
    """The images of a specification."""
    return drain(dataset(spec.data, at))


def finish(stage: Generator[Any, None, T]) -> tuple[list[Any], T]:
    """Run a stage to its end; return what it said and its result."""
    said = []
    while True:
        try:
            said.append(next(stage))
        except StopIteration as end:
            return said, end.value


def job(spec: TrialSpec, **fields: Any) -> Job:
    """A job for a specification."""
    return Job(**{"id": "trial", "kind": "search", "spec": spec, "key": student_key(spec), **fields})


def run(spec: TrialSpec, at: WorkerContext, **fields: Any) -> tuple[list[Event], Outcome]:
    """Run a whole trial; return its events and its outcome."""
    events = list(run_job(job(spec, **fields), at))
    assert isinstance(events[-1], Outcome)
    return events, events[-1]


def reports(events: list[Event]) -> list[Report]:
    """The epochs of distillation among the events."""
    return [event for event in events if isinstance(event, Report)]


def facts(events: list[Event]) -> Ready:
    """What was known when distillation began."""
    return next(event for event in events if isinstance(event, Ready))


def stored(folder: Path) -> dict[str, bytes]:
    """The bytes of all artifacts of a store, by stage and key."""
    return {
        f"{path.parents[2].name}/{path.parent.name}": path.read_bytes()
        for path in sorted((folder / "artifacts").glob("*/??/*/tensors.safetensors"))
    }


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of every epoch trained from now on, from 0."""
    trained: list[int] = []
    run = EpochRunner.run

    def counting(epochs: EpochRunner, epoch: int, begun: EpochPart, keep: Keep) -> EpochReport:
        trained.append(epoch)
        return run(epochs, epoch, begun, keep)

    monkeypatch.setattr(EpochRunner, "run", counting)
    return trained
