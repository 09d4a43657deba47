"""Whatever is trained, captured steps give the same bits as plain ones; and what can be captured, is."""

from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.data.registry import augmentations
from pdsearch.distillation.registry import losses
from pdsearch.specs import TrialSpec
from pdsearch.training import Engine, captured
from tests.stages.digits import SPEC, distilled, run, site, stored
from tests.training.replayed import CpuGraph

RECIPE = replace(SPEC.teacher.recipe, batch_size=2)
"""Forty steps an epoch: enough to compare, to measure and to replay."""
BASE = replace(
    distilled(SPEC, recipe=RECIPE), teacher=replace(SPEC.teacher, recipe=RECIPE), prune=None, precision="fp32"
)
ASKING = {"crd"}
"""Losses that ask for a tensor's content: crd draws its negatives by a number that it keeps in one."""


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[CpuGraph]:
    """Every training gets a graph, and replays it whatever it gains; returns the graphs."""
    made: list[CpuGraph] = []

    def graph(_engine: Engine) -> CpuGraph:
        made.append(CpuGraph())
        return made[-1]

    monkeypatch.setattr(captured, "PAYS", 1e-9)
    monkeypatch.setattr(Engine, "graph", graph)
    return made


def plain_and_replayed(
    spec: TrialSpec, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """All artifacts of a trial, without and with the graphs that are patched in."""
    assert run(spec, site(folder / "replayed"))[1].state == "complete"
    monkeypatch.setattr(Engine, "graph", lambda _engine: None)
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
    if name in ASKING:
        assert graphs[-1].captured == 0, "a loss that no longer asks can be taken off the list"


def test_of_ours_only_those_that_ask_run_plainly(graphs: list[CpuGraph], tmp_path: Path) -> None:
    ours = [name for name in losses if losses.get(name).loss.__module__.startswith("pdsearch.")]
    refused = set()
    for name in ours:
        run(distilled(BASE, loss=name, params=()), site(tmp_path))
        if not graphs[-1].replayed:
            refused.add(name)
    assert refused == ASKING


@pytest.mark.parametrize("name", sorted(augmentations))
def test_every_augmentation(
    name: str, graphs: list[CpuGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(BASE, data=replace(BASE.data, augment=name))
    plain, replayed = plain_and_replayed(spec, tmp_path, monkeypatch)
    assert plain == replayed
    assert all(graph.replayed for graph in graphs)


def test_seeds_trained_as_one_network(
    graphs: list[CpuGraph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, replayed = plain_and_replayed(distilled(BASE, replicas=(0, 1)), tmp_path, monkeypatch)
    assert plain == replayed
    assert all(graph.replayed for graph in graphs)
