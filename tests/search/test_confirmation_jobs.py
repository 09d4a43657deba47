from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.pipeline.keys import config_key, student_key
from pdsearch.search.confirmation.jobs import DerivedJobs, alone, unpruned, with_seed
from pdsearch.search.records import Records
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec
from tests.search.scripted_trials import DESCRIBE, ledger, run_one, space
from tests.trial_records import finished

CONFIRM = {"teachers": 2, "seeds": 2}


def listed(folder: Path, **sections: Any) -> DerivedJobs:
    searched = space(folder, **sections)
    return DerivedJobs(searched, DESCRIBE, Records(folder / searched.study / "trials"))


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """A folder in which eight trials have finished."""
    kept = ledger(space(tmp_path))
    for _ in range(8):
        run_one(kept)
    return tmp_path


def test_the_student_alone_learns_without_a_teacher_under_its_key(tmp_path: Path) -> None:
    (job,) = listed(tmp_path).student_alone()
    assert (job.kind, job.number, job.spec.distill.loss) == ("baseline", None, "ce")
    assert job.id == f"baseline-alone-{job.key[:12]}"


def test_a_student_that_its_teacher_shapes_is_not_trained_alone(tmp_path: Path) -> None:
    assert not list(listed(tmp_path, student={"model": "from_teacher"}).student_alone())


def test_nothing_is_confirmed_where_nobody_wants_it(tried: Path) -> None:
    assert not list(listed(tried, confirm="off").confirming())


def test_the_same_records_list_the_same_jobs(tried: Path) -> None:
    first, again = (list(listed(tried, confirm=CONFIRM).confirming()) for _ in range(2))
    assert first == again
    assert {job.kind for job in first} == {"confirm"}
    assert {job.spec.distill.seed for job in first} == {1, 2}


def test_only_trials_that_were_sampled_reach_the_confirmation(tried: Path) -> None:
    found = listed(tried, confirm=CONFIRM)
    before = [job.key for job in found.confirming()]
    best = max(found.records.finished.values(), key=lambda record: record.values["student.val_accuracy"])
    assert best.teacher is not None
    found.records.finished["confirm-x"] = replace(
        best,
        kind="confirm",
        number=None,
        values={**best.values, "student.val_accuracy": 1.0},
        teacher=replace(best.teacher, config="e" * 64),
    )
    assert [job.key for job in found.confirming()] == before


def test_every_finalists_teacher_is_trained_with_each_seed(tried: Path) -> None:
    jobs = list(listed(tried, confirm={**CONFIRM, "teacher_seeds": 3}).teachers_to_confirm())
    assert [(job.kind, job.spec.teacher.seed) for job in jobs] == [("teacher", seed) for seed in range(3)]


RECIPE = Recipe(epochs=2, lr=0.1)
SPEC = TrialSpec(
    data=DataSpec("digits"),
    teacher=TeacherSpec("convnet_l", 3, RECIPE),
    student=StudentSpec("from_teacher"),
    distill=DistillSpec(RECIPE, params=(("temperature", 4.0),), seed=5, view_seed=5),
    prune=PruneSpec("magnitude", 0.36, RECIPE),
)
SHAPE = StudentSpec("convnet_s", (("widths", (4, 8)),))


def test_the_unpruned_pair_keeps_shape_loss_and_seeds() -> None:
    assert unpruned(SPEC, SHAPE) == replace(SPEC, prune=None, student=SHAPE)


def test_the_student_alone_learns_from_labels_with_the_same_recipe_and_seeds() -> None:
    found = alone(SPEC, SHAPE)
    assert (found.prune, found.student) == (None, SHAPE)
    assert found.distill == replace(SPEC.distill, loss="ce", params=())


def test_a_seed_is_the_student_s_and_its_views_and_not_the_teacher_s() -> None:
    found = with_seed(SPEC, 9)
    assert found == replace(SPEC, distill=replace(SPEC.distill, seed=9, view_seed=9))
    assert found.teacher.seed == 3


def test_what_was_confirmed_as_one_network_keeps_its_key_and_is_not_repeated(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path))
    for _ in range(8):
        run_one(kept)
    searched = space(tmp_path, confirm={"teachers": 2, "seeds": 2})
    found = DerivedJobs(searched, DESCRIBE, Records(tmp_path / searched.study / "trials"))
    first, *others = jobs = list(found.confirming())
    config = config_key(first.spec)
    spec = replace(first.spec, distill=replace(first.spec.distill, replicas=(1, 2)))
    found.records.finished["confirm-earlier"] = finished(None, config=config, spec=spec)
    again, *rest = found.confirming()
    assert (again.spec, again.key, again.baselines) == (spec, student_key(spec), first.baselines)
    assert again.key not in {job.key for job in jobs}
    assert rest == others, "a seed that was to be trained with it and was not is trained alone"
