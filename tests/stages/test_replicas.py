"""Are students trained as one network those they would be alone, found by each, resumed, and never lost?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.errors import TrialError
from pdsearch.events import Progress, Report
from pdsearch.specs import TrialSpec
from pdsearch.stages import replicas
from pdsearch.stages.distill import distill
from pdsearch.stages.keys import config_key, replicas_key, student_key
from pdsearch.stages.prune import teacher
from pdsearch.stages.replicas import trained_with
from pdsearch.stages.site import Site
from pdsearch.stages.student import student
from tests.stages.counting import counted
from tests.stages.digits import ALONE, MOVING, RECIPE, data, distilled, finish, run, site, stored

SEEDS = (1, 2, 3)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def seeded(spec: TrialSpec, seed: int, *beside: int, **fields: Any) -> TrialSpec:
    return distilled(spec, seed=seed, view_seed=seed, replicas=beside, **fields)


def taught(spec: TrialSpec, at: Site) -> tuple[list[Any], dict[str, torch.Tensor]]:
    """What was said, and the trained student's weights."""
    images = data(spec, at)
    network = finish(teacher(spec, images, at))[1]
    pupil = student(spec, images, network, at)
    said, _ = finish(distill(spec, images, network, pupil, at))
    return said, pupil.model.state_dict()


def reports(said: list[Any]) -> list[Report]:
    return [event for event in said if isinstance(event, Report)]


@pytest.mark.parametrize("spec", [MOVING, ALONE], ids=["kd", "ce"])
def test_each_is_the_student_it_would_be_alone_but_for_last_bits(here: Site, spec: TrialSpec) -> None:
    for seed in SEEDS:
        alone, weights = taught(seeded(spec, seed), here)
        together, others = taught(seeded(spec, seed, *SEEDS), here)
        for one, other in zip(reports(alone), reports(together), strict=True):
            assert (one.epoch, one.epochs, one.val_accuracy) == (
                other.epoch,
                other.epochs,
                other.val_accuracy,
            )
            assert one.loss == pytest.approx(other.loss, rel=1e-5)
        for name, weight in weights.items():
            assert torch.allclose(weight.double(), others[name].double(), rtol=0, atol=1e-4), name


def test_they_are_trained_once_and_every_one_finds_its_own(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = counted(monkeypatch)
    said, first = taught(seeded(MOVING, 1, *SEEDS), here)
    assert here.epochs["distill"] == len(SEEDS) * RECIPE.epochs
    notes = [e for e in said if isinstance(e, Progress) and e.stage == "distill"]
    assert [(e.note, e.epoch, e.epochs) for e in notes] == [("3 seeds as one network", n, 2) for n in (1, 2)]
    before = len(trained)
    here.begin()
    _, second = taught(seeded(MOVING, 2, *SEEDS), here)
    assert len(trained) == before
    assert here.epochs == {}
    (use,) = [use for use in here.uses if use.stage == "replicas"]
    whole = here.store.find("replicas", replicas_key(seeded(MOVING, 2, *SEEDS)))
    assert whole is not None
    assert use.hit
    assert use.seconds == pytest.approx(float(whole.meta["seconds"]) / 3)  # type: ignore[arg-type]
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_who_asks_first_and_how_often_it_was_cut_off_change_no_byte(tmp_path: Path) -> None:
    spec = seeded(MOVING, 2, *SEEDS, recipe=replace(RECIPE, epochs=4))
    for seed in (3, 2):
        taught(seeded(spec, seed, *SEEDS), site(tmp_path / "whole"))
    cut = site(tmp_path / "cut", checkpoint_s=0.0)
    images = data(spec, cut)
    network = finish(teacher(spec, images, cut))[1]
    stage = distill(spec, images, network, student(spec, images, network, cut), cut)
    for event in stage:
        if isinstance(event, Progress) and event.stage == "distill" and event.epoch == 2:
            break
    stage.close()
    said, _ = taught(spec, site(tmp_path / "cut"))
    assert [event.epoch for event in said if isinstance(event, Progress) and event.stage == "distill"] == [
        1,
        2,
        3,
        4,
    ]
    taught(seeded(spec, 3, *SEEDS), site(tmp_path / "cut"))
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")


def test_where_their_training_diverges_each_is_trained_alone(
    here: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [taught(seeded(MOVING, seed), here) for seed in (1, 2)]

    def diverging(*_: Any, **__: Any) -> Any:
        raise TrialError("diverged in epoch 1 of 2: a weight is not finite")
        yield

    monkeypatch.setattr(replicas, "fit", diverging)
    for seed, (alone, weights) in zip((1, 2), expected, strict=True):
        said, found = taught(seeded(MOVING, seed, *SEEDS), here)
        assert reports(said) == reports(alone)
        assert all(torch.equal(found[name], weight) for name, weight in weights.items())


def test_a_whole_trial_says_what_it_reached(tmp_path: Path) -> None:
    spec = seeded(MOVING, 2, *SEEDS)
    _, outcome = run(spec, site(tmp_path), test=True)
    assert outcome.state == "complete", outcome.reason
    assert outcome.test is not None
    assert {use.stage for use in outcome.artifacts} >= {"replicas", "student"}
    assert outcome.student == student_key(spec)


def test_keys_name_those_trained_beside_and_the_configuration_does_not() -> None:
    alone, beside, other = seeded(MOVING, 1), seeded(MOVING, 1, 1, 2), seeded(MOVING, 2, 1, 2)
    assert len({student_key(alone), student_key(beside), student_key(other)}) == 3
    assert config_key(alone) == config_key(beside) == config_key(other)
    assert replicas_key(beside) == replicas_key(other) != replicas_key(seeded(MOVING, 1, 1, 2, 3))


def test_a_seed_that_is_none_of_its_replicas_is_refused(here: Site) -> None:
    spec = seeded(ALONE, 9, 1, 2)
    images = data(spec, here)
    with pytest.raises(ValueError, match="9 is not in"):
        finish(trained_with(spec, images, None, student(spec, images, None, here), here))
