"""Is a dense teacher trained once, and the same wherever it is trained?"""

from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.events import Progress
from pdsearch.stages.keys import dense_key
from pdsearch.stages.networks import measure
from pdsearch.stages.site import Site
from pdsearch.stages.teacher import dense_teacher
from tests.stages.counting import counted
from tests.stages.digits import DENSE, RECIPE, data, distilled, finish, site, stored


def test_it_is_trained_once_for_all_trials(
    here: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    said, network = finish(dense_teacher(DENSE, data(DENSE, here), here))
    assert said[-1] == Progress("teacher", "convnet_s", 2, 2, network.meta["val_accuracy"])  # type: ignore[arg-type]
    other = site(tmp_path)
    trial = distilled(DENSE, seed=5)
    finish(dense_teacher(trial, data(trial, other), other))
    assert trained == [0, 1]
    assert here.epochs == {"teacher": 2}
    assert other.epochs == {}
    assert (network.key, network.mask) == (dense_key(DENSE), None)


def test_it_is_what_its_artifact_says(here: Site) -> None:
    images = data(DENSE, here)
    _, network = finish(dense_teacher(DENSE, images, here))
    assert network.meta["val_accuracy"] == measure(network.model, images, "val", here, "fp32")
    assert network.meta["epochs"] == 2


@pytest.mark.parametrize("select", ["last", "best_val"])
def test_the_weights_handed_on_are_those_whose_accuracy_is_told(here: Site, select: str) -> None:
    recipe = replace(RECIPE, epochs=5, lr=0.4, milestones=(), select=select)
    spec = replace(DENSE, teacher=replace(DENSE.teacher, recipe=recipe))
    images = data(spec, here)
    said, network = finish(dense_teacher(spec, images, here))
    accuracies = [event.val_accuracy for event in said if event.val_accuracy is not None]
    expected = max(accuracies) if select == "best_val" else accuracies[-1]
    assert measure(network.model, images, "val", here, "fp32") == expected == network.meta["val_accuracy"]


def test_two_stores_hold_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        at = site(tmp_path / name)
        spec = replace(DENSE, teacher=replace(DENSE.teacher, seed=seed))
        finish(dense_teacher(spec, data(spec, at), at))
    a, b, c = (stored(tmp_path / name) for name in "abc")
    assert a == b
    assert {name for name in a if name.startswith("teacher")}.isdisjoint(c)


def test_a_training_cut_off_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = site(tmp_path / "whole"), site(tmp_path / "cut")
    finish(dense_teacher(DENSE, data(DENSE, whole), whole))
    images = data(DENSE, cut)
    stage = dense_teacher(DENSE, images, cut)
    next(stage)
    stage.close()
    trained = counted(monkeypatch)
    finish(dense_teacher(DENSE, images, site(tmp_path / "cut")))
    assert trained == [1]
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")
