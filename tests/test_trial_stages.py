"""The stages called by hand: what a search would compute, under its keys."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.config import parse
from pdsearch.errors import ConfigError
from pdsearch.pipeline.keys import student_key
from pdsearch.protocol import Event, Report
from pdsearch.search.resolved import Description
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec
from pdsearch.trial_stages import TrainedTeacher, distill, prune, train_teacher

RECIPE = Recipe(1, 0.05)
SPACE = {
    "study": "s",
    "data": {"source": "digits", "subset": 60},
    "teacher": {"model": "convnet_m", "seed": 3},
    "student": {"model": "convnet_s"},
    "train": {name: {"epochs": 1, "lr": 0.05} for name in ("teacher", "recover", "distill")},
    "prune": {"method": "magnitude", "ratio": 0.2},
    "distill": {"temperature": 2, "alpha": 1},
    "precision": "fp32",
}


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return []


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> TrainedTeacher:
    data, spec = DataSpec("digits", subset=60), TeacherSpec("convnet_m", 3, RECIPE)
    return train_teacher(data, spec, storage=tmp_path_factory.mktemp("by_hand"), on_event=events.append)


def taught(teacher: TrainedTeacher) -> Any:
    how = DistillSpec(RECIPE, params=(("temperature", 2), ("alpha", 1)))
    return distill(prune(teacher, PruneSpec("magnitude", 0.2, RECIPE)), StudentSpec("convnet_s"), how)


def test_the_trial_has_the_key_that_a_search_gives_it(teacher: TrainedTeacher) -> None:
    space = parse(SPACE)
    searched = Description(teacher.spec.data.fingerprint, "fp32").complete(space.resolve(space.defaults()))
    assert taught(teacher).key == student_key(searched)


def test_what_was_trained_is_found_again(teacher: TrainedTeacher, events: list[Event]) -> None:
    first = taught(teacher)
    trained = len([event for event in events if not isinstance(event, Report)])
    again = taught(teacher)
    assert len([event for event in events if not isinstance(event, Report)]) == trained
    assert (again.key, again.reports) == (first.key, first.reports)
    assert 0 <= again.test_accuracy() <= 1


def test_a_pruned_teacher_says_how_much_is_gone(teacher: TrainedTeacher) -> None:
    pruned = prune(teacher, PruneSpec("magnitude", 0.2, RECIPE))
    assert (teacher.sparsity, round(pruned.sparsity, 2)) == (0, 0.2)
    with pytest.raises(ConfigError, match="pruned already"):
        prune(pruned, PruneSpec("magnitude", 0.2, RECIPE))


def test_what_is_done_to_a_teacher_s_network_reaches_no_stage(teacher: TrainedTeacher) -> None:
    changed = prune(teacher, PruneSpec("magnitude", 0.36, RECIPE))
    for model in (teacher.model, changed.model):
        for weight in model.requires_grad_(False).train().parameters():
            weight.zero_()
    again = prune(teacher, PruneSpec("magnitude", 0.36, RECIPE)).model
    assert not again.training
    assert all(bool(weight.any()) for weight in again.parameters() if weight.dim() > 1)


def test_a_wrong_word_is_refused_before_anything_is_trained(teacher: TrainedTeacher, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="magnitud"):
        prune(teacher, PruneSpec("magnitud", 0.2, RECIPE))
    with pytest.raises(ConfigError, match="temperatur"):
        distill(teacher, StudentSpec("convnet_s"), DistillSpec(RECIPE, params=(("temperatur", 2),)))
    with pytest.raises(ConfigError, match="fp8"):
        train_teacher(teacher.spec.data, teacher.spec.teacher, storage=tmp_path, precision="fp8")
