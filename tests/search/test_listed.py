"""Jobs that are not sampled follow from the space and the finished records, each time the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.search.confirmation.jobs import DerivedJobs
from pdsearch.search.records import Records
from tests.search.scripted_trials import DESCRIBE, ledger, run_one, space

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
