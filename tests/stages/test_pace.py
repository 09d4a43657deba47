"""Is it measured once whether replicas pay as one network, and never where they cannot be one?"""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import nn

from pdsearch.specs import StudentSpec
from pdsearch.stages import pace as pacing
from pdsearch.stages.obtain import drain
from pdsearch.stages.pace import _Case, pace, pace_key, possible
from pdsearch.stages.site import Site
from pdsearch.training import Engine
from tests.stages.digits import SPEC, data, distilled, site
from tests.training.replayed import CpuGraph

SMALL, UNLIKE = StudentSpec("convnet_s"), StudentSpec("shufflenetv2")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_it_is_measured_once_for_all_studies_of_a_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(tmp_path)
    before = torch.get_rng_state()
    found = drain(pace(SPEC, SMALL, data(SPEC, here), here, replicas=3))
    assert found > 0
    assert torch.equal(torch.get_rng_state(), before)
    monkeypatch.setattr(_Case, "ratio", lambda *_: 0.5)
    other = site(tmp_path)
    assert drain(pace(SPEC, SMALL, data(SPEC, other), other, replicas=3)) == round(found, 3)
    assert drain(pace(SPEC, SMALL, data(SPEC, other), other, replicas=2)) == 0.5


def test_what_is_measured_is_part_of_its_key(here: Site) -> None:
    images = data(SPEC, here)
    larger = distilled(recipe=replace(SPEC.distill.recipe, batch_size=64))
    keys = {
        pace_key(SPEC, SMALL, images, here, replicas=2),
        pace_key(SPEC, SMALL, images, here, replicas=3),
        pace_key(larger, SMALL, images, here, replicas=2),
        pace_key(replace(SPEC, precision="bf16"), SMALL, images, here, replicas=2),
        pace_key(SPEC, StudentSpec("convnet_m"), images, here, replicas=2),
    }
    assert len(keys) == 5


def test_on_a_gpu_the_key_says_whether_steps_are_captured(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "_machine", lambda _device: "a GPU")
    images, keys = data(SPEC, here), {pace_key(SPEC, SMALL, data(SPEC, here), here, replicas=2)}
    here.graphs = False
    keys.add(pace_key(SPEC, SMALL, images, here, replicas=2))
    assert len(keys) == 1, "a CPU captures nothing"
    here.device = "cuda"
    keys.add(pace_key(SPEC, SMALL, images, here, replicas=2))
    here.graphs = True
    keys.add(pace_key(SPEC, SMALL, images, here, replicas=2))
    assert len(keys) == 3


@pytest.mark.parametrize("waits", [False, True])
def test_steps_are_timed_as_they_are_trained_captured_where_they_can_be(
    here: Site, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ready(_self: CpuGraph) -> NoReturn:
        raise RuntimeError("it waits")

    graphs = [CpuGraph() for _ in range(9)]
    left = iter(graphs)
    monkeypatch.setattr(Engine, "graph", lambda _engine: next(left))
    if waits:
        monkeypatch.setattr(CpuGraph, "ready", ready)
    case = _Case(SPEC, SMALL, data(SPEC, here), here.engine("fp32"))
    assert case.ratio(replicas=2) > 0
    # Two steps that show whether one takes long, then one for each replica and one for both.
    used = [graph.replayed for graph in graphs if graph.replayed]
    timed = (pacing.TURNS + 1) * pacing.STEPS
    assert used == ([] if waits else [2, 2, timed, timed, timed])


def test_networks_that_cannot_be_one_are_not_timed(here: Site) -> None:
    images = data(SPEC, here)
    assert possible(SMALL, images)
    assert not possible(UNLIKE, images)
    assert drain(pace(SPEC, UNLIKE, images, here, replicas=2)) == 0


def test_of_slow_networks_one_is_built_and_sees_two_images(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    shown: list[int] = []
    make, place = _Case._network, Engine.images

    def network(case: _Case, seed: int) -> nn.Module:
        built.append(seed)
        return make(case, seed)

    def images(engine: Engine, seen: torch.Tensor) -> torch.Tensor:
        shown.append(len(seen))
        return place(engine, seen)

    monkeypatch.setattr(_Case, "_network", network)
    monkeypatch.setattr(Engine, "images", images)
    monkeypatch.setattr(pacing, "SLOW_S", 0.0)
    assert drain(pace(SPEC, SMALL, data(SPEC, here), here, replicas=5)) == 0
    assert built == [0]
    assert shown == [2]
