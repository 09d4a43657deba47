"""A whole trial reports all that its record needs, trains nothing twice, and ends in exactly one outcome."""

import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import StorageError
from pdsearch.objectives import Constraint
from pdsearch.pipeline import keys
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.trial import run_job
from pdsearch.protocol import Event, Outcome
from pdsearch.search.confirmation.finalists import finalist_of
from pdsearch.specs import StudentSpec, TrialSpec
from tests.pipeline.digits import (
    ALONE,
    DENSE,
    MOVING,
    SPEC,
    counted,
    distilled,
    facts,
    job,
    pruned,
    reports,
    run,
    site,
    stored,
)
from tests.records.trial_records import finished
from tests.some import some


def made(outcome: Outcome) -> list[tuple[str, bool]]:
    """The artifacts that a trial used, and whether each was there before."""
    return sorted((f"{use.stage}/{use.key}", use.hit) for use in outcome.artifacts)


@pytest.fixture
def here(tmp_path: Path) -> WorkerContext:
    return site(tmp_path)


def test_a_trial_tells_teacher_student_epochs_and_costs(here: WorkerContext) -> None:
    events, outcome = run(SPEC, here)
    known = facts(events)
    teacher = some(known.teacher)
    assert (teacher.key, teacher.config) == (keys.teacher_key(SPEC), keys.teacher_config(SPEC))
    assert (teacher.method, teacher.ratio, teacher.rounds) == ("magnitude", 0.36, 2)
    assert known.student.params == outcome.values["student.params"]
    assert events.index(known) < events.index(reports(events)[0])
    assert [report.epoch for report in reports(events)] == [1, 2]
    assert (outcome.state, outcome.test) == ("complete", None)
    assert outcome.student == keys.student_key(SPEC)
    assert outcome.epochs == {"teacher": 2, "prune": 4, "distill": 2}
    assert {use.stage for use in outcome.artifacts} == {"data", "teacher", "prune", "outputs", "student"}
    assert outcome.values["student.val_accuracy"] == reports(events)[-1].val_accuracy
    assert outcome.device == "cpu"
    assert outcome.seconds > 0


def test_a_trial_run_again_trains_nothing_and_reports_the_same(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, outcome = run(SPEC, here)
    trained = counted(monkeypatch)
    second, again = run(SPEC, site(tmp_path))
    assert trained == []
    assert reports(first) == reports(second)
    assert (again.values, again.student, again.epochs) == (outcome.values, outcome.student, {})
    assert all(use.hit for use in again.artifacts)


def test_a_second_trial_of_a_worker_counts_only_its_own(here: WorkerContext) -> None:
    run(SPEC, here)
    _, outcome = run(distilled(seed=1), here)
    assert outcome.epochs == {"distill": 2}
    assert [use.stage for use in outcome.artifacts if not use.hit] == ["student"]


@pytest.mark.parametrize("events", [1, 2, 4, 8])
def test_a_trial_cut_off_anywhere_ends_with_the_same_bytes(tmp_path: Path, events: int) -> None:
    expected, whole = run(MOVING, site(tmp_path / "whole"))
    cut = run_job(job(MOVING), site(tmp_path / "cut"))
    for _ in range(events):
        next(cut)
    cut.close()
    said, outcome = run(MOVING, site(tmp_path / "cut"))
    assert reports(said) == reports(expected)
    assert outcome.values == whole.values
    assert (outcome.epochs, made(outcome)) == (whole.epochs, made(whole))
    assert stored(tmp_path / "cut") == stored(tmp_path / "whole")
    assert not list((tmp_path / "cut").glob("artifacts/.leases/*.json"))
    assert not list((tmp_path / "cut" / "progress").glob("*"))


def test_an_unpruned_teacher_s_facts_have_no_pruning(here: WorkerContext) -> None:
    teacher = some(facts(run(DENSE, here)[0]).teacher)
    assert (teacher.method, teacher.ratio, teacher.schedule) == (None, None, None)
    assert (teacher.rounds, teacher.sparsity) == (0, 0.0)


def test_the_test_set_is_opened_only_where_it_may_be(here: WorkerContext) -> None:
    assert run(SPEC, here)[1].test is None
    opened = some(run(SPEC, here, test=True)[1].test)
    assert set(opened) == {"student.accuracy", "teacher.accuracy"}
    events, alone = run(ALONE, here, test=True)
    assert (set(some(alone.test)), alone.epochs) == ({"student.accuracy"}, {"distill": 2})
    assert facts(events).teacher is None


def test_a_student_too_large_costs_no_epoch_of_distillation(here: WorkerContext) -> None:
    _, outcome = run(SPEC, here, limits=(Constraint("student.params", "<=", 10.0),))
    assert outcome.state == "infeasible"
    assert "student.params" in str(outcome.reason)
    assert "distill" not in outcome.epochs
    assert set(outcome.values) == {"student.params", "student.flops"}


def test_a_teacher_s_job_trains_the_dense_teacher_and_nothing_else(here: WorkerContext) -> None:
    _, outcome = run(DENSE, here, kind="teacher")
    assert outcome.epochs == {"teacher": 2}
    assert set(outcome.values) == {"teacher.val_accuracy"}


def test_a_shaped_student_s_pair_is_built_from_its_record_alone(here: WorkerContext) -> None:
    spec = replace(pruned(ratio=0.9), student=StudentSpec("from_teacher"))
    events, _ = run(spec, here)
    student = facts(events).student
    record = finished(spec=spec, student=student)
    shape = finalist_of(record).shape
    again, outcome = run(replace(DENSE, student=shape), here)
    assert outcome.state == "complete"
    assert facts(again).student == student
    built = student.built
    assert run(spec, here, student=built)[1].state == "complete"
    # As of a teacher that was pruned again, by another version or with other last bits.
    _, refused = run(spec, here, student=replace(built, params=7))
    assert refused.state == "failed"
    assert str(refused.reason).startswith(
        "student.model: its teacher was pruned again and leaves a student of"
    )


@pytest.mark.parametrize("error", [ValueError("a\nb"), RuntimeError("no memory")])
def test_whatever_a_method_raises_ends_its_trial_alone(
    here: WorkerContext, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("pdsearch.pipeline.prune.prune_once", broken)
        _, outcome = run(SPEC, here)
    assert outcome.state == "failed"
    where = str(outcome.reason).removeprefix(f"{type(error).__name__}: {error} ")
    assert re.fullmatch(r"\(tests/pipeline/test_trial.py:\d+, in broken: raise error\)", where)
    assert outcome.epochs == {"teacher": 2}
    assert run(SPEC, here)[1].state == "complete"


def test_an_error_of_a_person_s_making_is_told_in_its_own_words(here: WorkerContext) -> None:
    _, outcome = run(replace(SPEC, student=StudentSpec("no_such_model")), here)
    assert outcome.state == "failed"
    assert "no_such_model" in str(outcome.reason)
    assert "Error:" not in str(outcome.reason)


def test_errors_of_the_storage_are_the_runner_s(here: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Generator[Event, None, None]:
        raise StorageError("no space is left")
        yield

    monkeypatch.setattr("pdsearch.pipeline.trial.dataset", full)
    with pytest.raises(StorageError):
        list(run_job(job(SPEC), here))


@pytest.mark.parametrize("spec", [SPEC, DENSE, ALONE], ids=["pruned", "dense", "alone"])
def test_all_images_can_be_trained_on_and_the_student_is_tested(here: WorkerContext, spec: TrialSpec) -> None:
    whole = replace(spec, data=replace(spec.data, val_fraction=0.0))
    events, outcome = run(whole, here, test=True)
    assert outcome.state == "complete", outcome.reason
    assert [report.val_accuracy for report in reports(events)] == [None, None]
    assert "student.val_accuracy" not in outcome.values
    assert 0 <= some(outcome.test)["student.accuracy"] <= 1
    again, found = run(whole, here, test=True)
    assert reports(again) == reports(events)
    assert (found.test, found.epochs) == (outcome.test, {})


def test_a_teacher_trained_on_all_images_has_no_validation_accuracy(here: WorkerContext) -> None:
    whole = replace(DENSE, data=replace(SPEC.data, val_fraction=0.0))
    _, outcome = run(whole, here, kind="teacher")
    assert (outcome.state, dict(outcome.values)) == ("complete", {})


def test_latency_is_measured_where_it_is_asked_for_and_once_per_shape(here: WorkerContext) -> None:
    _, plain = run(ALONE, here)
    _, first = run(ALONE, here, measures=("student.latency",))
    _, again = run(distilled(ALONE, seed=7), here, measures=("student.latency",))
    assert "student.latency" not in plain.values
    assert first.values["student.latency"] > 0
    assert again.values["student.latency"] == first.values["student.latency"]


def test_a_student_that_is_too_slow_costs_no_epoch(here: WorkerContext) -> None:
    limit = Constraint("student.latency", "<=", 1e-9)
    events, outcome = run(ALONE, here, limits=(limit,), measures=("student.latency",))
    assert outcome.state == "infeasible"
    assert "student.latency" in str(outcome.reason)
    assert reports(events) == []
