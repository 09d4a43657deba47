"""Whatever is trained, captured steps give the same bits as plain ones; and what can be captured, is."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pdsearch.distillation.registry import losses
from pdsearch.specs import TrialSpec
from pdsearch.training import cuda_graphs as captured
from pdsearch.training.device import Engine
from pdsearch.training.fit import EpochRunner
from pdsearch.training.training_state import TrainingState
from tests.pipeline.digits import SPEC, distilled, run, site, stored
from tests.training.replayed import CpuGraph

RECIPE = replace(SPEC.teacher.recipe, batch_size=4)
"""Twenty steps an epoch: enough to compare, to measure and to replay."""
BASE = replace(
    distilled(SPEC, recipe=RECIPE), teacher=replace(SPEC.teacher, recipe=RECIPE), prune=None, precision="fp32"
)
ASKING = {"crd"}
"""Losses that ask for a tensor's content: crd draws its negatives by a number that it keeps in one."""


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[CpuGraph]:
    """Every training gets a graph, and replays it whatever it gains; returns the graphs."""
    made: list[CpuGraph] = []

    def of(state: TrainingState, engine: Engine) -> captured.Captured:
        made.append(CpuGraph())
        return captured.Captured(made[-1], state, engine.device)  # type: ignore[arg-type]

    for name, value in {"PAYS": 1e-9, "TIMED": 3, "LEAST": 12}.items():
        monkeypatch.setattr(captured, name, value)
    monkeypatch.setattr(captured.Captured, "of", of)
    return made


def plain_and_replayed(
    spec: TrialSpec, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """All artifacts of a trial, without and with the graphs that are patched in."""
    assert run(spec, site(folder / "replayed"))[1].state == "complete"
    monkeypatch.setattr(captured.Captured, "of", lambda *_: None)
    assert run(spec, site(folder / "plain"))[1].state == "complete"
    return stored(folder / "plain"), stored(folder / "replayed")


@pytest.mark.parametrize("name", sorted(losses))
def test_every_loss(
    name: str, graphs: list[CpuGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = distilled(BASE, loss=name, params=())
    plain, replayed = plain_and_replayed(spec, tmp_path, monkeypatch)
    assert plain == replayed
    assert all(graph.captured == RECIPE.epochs for graph in graphs[:-1]), "teachers are trained so, too"
    if losses.get(name).loss.__module__.startswith("pdsearch."):
        assert (graphs[-1].replayed > 0) is (name not in ASKING), "of ours, only those that ask run plainly"


@pytest.mark.parametrize("name", ["crop_flip", "mixup_or_cutmix"])
def test_views_that_change_and_mixed_targets(
    name: str, graphs: list[CpuGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(BASE, data=replace(BASE.data, augment=name))
    plain, replayed = plain_and_replayed(spec, tmp_path, monkeypatch)
    assert plain == replayed
    assert all(graph.replayed for graph in graphs)


class Marked(torch.autograd.Function):
    """Does nothing; says whether the autograd graph of a step is still there."""

    steps: ClassVar[list[weakref.ref[Any]]] = []

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        Marked.steps.append(weakref.ref(ctx))
        return maps.clone()

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


@pytest.mark.parametrize("name", sorted(losses))
def test_nothing_holds_the_graph_of_a_step_that_is_done(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nodes would be used again by the next step, on the stream they were made on: no capture could follow."""

    def marking(*given: Any) -> Tensor:
        found = normalise(*given)
        return Marked.apply(found) if found.requires_grad else found

    def watched(self: EpochRunner, *given: Any) -> None:
        compute(self, *given)
        assert Marked.steps
        assert not any(step() is not None for step in Marked.steps), "the step's graph is still there"
        Marked.steps.clear()

    normalise, compute = F.batch_norm, EpochRunner.passes
    monkeypatch.setattr(F, "batch_norm", marking)
    monkeypatch.setattr(EpochRunner, "passes", watched)
    _, outcome = run(distilled(BASE, loss=name, params=()), site(tmp_path))
    assert outcome.state == "complete", outcome.reason
