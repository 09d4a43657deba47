"""Sampled trials and their records: asked, told, finished."""

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from pdsearch.errors import StorageError
from pdsearch.pipeline.keys import config_key
from pdsearch.protocol import Event, Job, Outcome, Progress, Report
from pdsearch.records.trial_record import record_to_json
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.records import Live, Records
from tests.search.scripted_trials import (
    DESCRIBE,
    DOCUMENT,
    accuracy,
    ledger,
    outcome,
    ready,
    reports,
    run_one,
    searching,
    space,
    whole,
)
from tests.some import some

ACCURACY = {"metric": "student.val_accuracy", "goal": "maximize"}
SIZE = {"metric": "student.params", "goal": "minimize"}


def states(kept: Ledger) -> list[str]:
    return [trial.state.name for trial in kept.study.trials]


def asked(kept: Ledger) -> Job:
    return some(kept.ask())


def on_disk(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "small" / "trials" / name).read_text())
    return found


def test_a_trial_is_recorded_before_it_starts_and_when_it_has_ended(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path))
    job = asked(kept)
    before = on_disk(tmp_path, "search-00000.asked.json")
    assert (before["id"], before["key"], before["params"]) == (job.id, job.key, dict(job.params))
    assert kept.finished == 0
    kept.tell(job, ready(job))
    assert not any(kept.tell(job, report) for report in reports(job))
    record = kept.finish(job, outcome(job))
    assert record_to_json(record) == on_disk(tmp_path, "search-00000.finished.json")
    assert record.state == "complete"
    assert [report.epoch for report in record.reports] == [1, 2, 3, 4]
    assert kept.study.best_value == accuracy(job)
    assert (kept.finished, kept.failed, kept.waiting) == (1, 0, 0)
    assert not kept.live


def test_the_same_trial_is_not_run_twice_and_a_space_that_is_used_up_is_exhausted(tmp_path: Path) -> None:
    two = {"prune.method": ["none", "magnitude"], "prune.ratio": {"choices": [0.2]}}
    two["prune.ratio"] |= {"when": {"prune.method": ["magnitude"]}}  # type: ignore[operator]
    kept = ledger(space(tmp_path, space=two))
    first = run_one(kept)
    running = asked(kept)
    assert running.key != first.key
    assert kept.ask() is None
    assert kept.exhausted
    assert kept.failed == 0
    duplicates = [t.user_attrs["duplicate_of"] for t in kept.study.trials if t.state is TrialState.FAIL]
    assert set(duplicates) == {first.id, running.id}


def test_an_interrupted_trial_is_asked_again_with_its_parameters(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path))
    run_one(kept)
    job = asked(kept)
    kept.tell(job, reports(job)[0])
    again = ledger(space(tmp_path))
    assert states(again) == ["COMPLETE", "FAIL", "WAITING"]
    assert (again.waiting, again.failed) == (1, 0)
    retried = asked(again)
    assert (retried.key, retried.params, retried.id) == (job.key, job.params, "search-00002")
    assert again.study.trials[2].user_attrs["retry_of"] == 1
    again.finish(retried, outcome(retried))
    assert states(ledger(space(tmp_path))) == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_trial_interrupted_again_and_again_is_retried_once_each_time(tmp_path: Path) -> None:
    job = asked(ledger(space(tmp_path)))
    for _ in range(3):
        kept = ledger(space(tmp_path))
        assert kept.waiting == 1
        assert asked(kept).key == job.key
    run_one(ledger(space(tmp_path)))
    last = ledger(space(tmp_path))
    assert states(last) == [*["FAIL"] * 4, "COMPLETE"]
    assert last.waiting == 0


@pytest.mark.parametrize("state", ["complete", "failed", "infeasible"])
def test_a_crash_between_record_and_study_is_mended_from_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    kept = ledger(space(tmp_path))
    job = asked(kept)
    end = outcome(job) if state == "complete" else Outcome(state, "why")
    with monkeypatch.context() as patch:
        patch.setattr(kept, "_settle", crash)
        with pytest.raises(KeyboardInterrupt):
            kept.finish(job, end)
    assert states(kept) == ["RUNNING"]
    mended = ledger(space(tmp_path))
    expected = {"complete": "COMPLETE", "failed": "FAIL", "infeasible": "PRUNED"}[state]
    assert states(mended) == [expected]
    assert mended.waiting == 0
    assert mended.failed == (state == "failed")
    if state == "complete":
        assert mended.study.best_value == accuracy(job)


def crash(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_a_failure(tmp_path: Path, value: float) -> None:
    kept = ledger(space(tmp_path))
    job = asked(kept)
    end = outcome(job)
    record = kept.finish(job, replace(end, values={**end.values, "student.val_accuracy": value}))
    assert record.state == "failed"
    assert "student.val_accuracy is not a finite number" in str(record.reason)
    assert states(kept) == ["FAIL"]


def test_a_trial_over_a_constraint_counts_but_is_not_complete(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path, constraints=["student.params <= 100"]))
    job = asked(kept)
    assert [(limit.metric, limit.op, limit.bound) for limit in job.limits] == [("student.params", "<=", 100)]
    record = kept.finish(job, Outcome("infeasible", "too large", values={"student.params": 900.0}))
    assert record.state == "infeasible"
    assert (kept.finished, kept.failed) == (1, 0)


def test_a_trial_that_breaks_a_constraint_at_its_end_is_infeasible_with_all_that_was_measured(
    tmp_path: Path,
) -> None:
    late = space(tmp_path, constraints=["student.val_accuracy >= 0.999"], objectives=[SIZE])
    kept = ledger(late)
    record = run_one(kept)
    value = record.values["student.val_accuracy"]
    assert record.state == "infeasible"
    assert record.reason == f"student.val_accuracy = {value:.6g}, not >= 0.999"
    (trial,) = kept.study.trials
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [900.0])
    assert trial.constraints == {"student.val_accuracy >= 0.999": pytest.approx(0.999 - value)}
    assert (kept.finished, kept.failed) == (1, 0)
    assert states(ledger(late)) == ["COMPLETE"]


@pytest.mark.parametrize("objectives", [[SIZE], [ACCURACY, SIZE], [SIZE, ACCURACY]])
def test_weak_trials_are_stopped_by_their_accuracy_whatever_is_optimised(
    tmp_path: Path, objectives: list[dict[str, str]]
) -> None:
    """The rule took the study's direction: it stopped the best where a size is minimised, else nobody."""
    stop = {"metric": "student.val_accuracy", "halving": {"min_epochs": 1, "factor": 2}}
    searched = space(tmp_path, search=searching(stop=stop), objectives=objectives)

    def tell(kept: Ledger, value: float) -> bool:
        job = asked(kept)
        kept.tell(job, ready(job))
        stopped = kept.tell(job, Report(1, 4, value, 1.0))
        kept.finish(job, Outcome("stopped") if stopped else outcome(job))
        return stopped

    kept = ledger(searched)
    assert [tell(kept, value) for value in (0.5, 0.1, 0.6)] == [False, True, False]
    again = ledger(searched)
    assert [tell(again, value) for value in (0.2, 0.9)] == [True, False]
    assert states(again) == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED", "COMPLETE"]
    assert asked(again), "the sampler takes what it was told"


def test_the_driver_decides_at_rungs_and_a_stopped_trial_keeps_its_last_value(tmp_path: Path) -> None:
    halving = searching(stop={"halving": {"min_epochs": 1, "factor": 2}})
    kept = ledger(space(tmp_path, search=halving))
    good = asked(kept)
    assert good.decide_at == (1, 2)
    told = [kept.tell(good, Report(epoch, 4, 0.9, 1.0)) for epoch in (1, 2, 3, 4)]
    assert not any(told)
    kept.finish(good, outcome(good))
    bad = asked(kept)
    kept.tell(bad, ready(bad))
    assert kept.tell(bad, Report(1, 4, 0.1, 1.0))
    record = kept.finish(bad, Outcome("stopped"))
    assert record.state == "stopped"
    assert record.values == {"student.val_accuracy": 0.1, "student.params": 900, "student.flops": 9000}
    assert record.cost.epochs == {"teacher": 2, "distill": 1}
    assert states(kept) == ["COMPLETE", "PRUNED"]
    assert kept.finished == 2


def test_a_job_that_lost_its_worker_says_its_epochs_again_and_they_count_once(tmp_path: Path) -> None:
    kept = ledger(space(tmp_path))

    def twice(job: Job) -> Generator[Event, None, None]:
        yield ready(job)
        yield from reports(job)[:2]
        yield from whole(job)

    record = run_one(kept, twice)
    assert [report.epoch for report in record.reports] == [1, 2, 3, 4]


def test_only_a_space_of_one_configuration_opens_the_test_set(tmp_path: Path) -> None:
    assert not asked(ledger(space(tmp_path / "a"))).test
    assert asked(ledger(space(tmp_path / "b", space={}, prune={"method": "none"}), single=True)).test


def test_seeds_of_baselines_differ_from_those_of_the_search(tmp_path: Path) -> None:
    continuous = {"distill.temperature": DOCUMENT["space"]["distill.temperature"]}
    searched = space(tmp_path, space=continuous, prune={"method": "none"})
    search, fair = ledger(searched), ledger(searched, kind="baseline")
    assert asked(search).params != asked(fair).params


@pytest.fixture
def job(tmp_path: Path) -> Job:
    asked = some(ledger(space(tmp_path / "study")).ask())
    return replace(asked, baselines={"alone": "a" * 64})


def test_a_record_holds_what_was_asked_said_and_reached(tmp_path: Path, job: Job) -> None:
    live = Live(job)
    said: list[Event] = [Progress("teacher"), ready(job), *reports(job)]
    for event in said:
        live.note(event)
    records = Records(tmp_path)
    records.ask(job)
    record = records.finish(live, outcome(job), DESCRIBE)
    assert record.spec == job.spec
    assert record.config == config_key(job.spec)
    assert record.baselines == job.baselines
    assert record.student == replace(ready(job).student, artifact=job.key)
    assert list(record.reports) == reports(job)
    assert str(record.started_at) <= str(record.finished_at)
    assert Records(tmp_path).finished == {job.id: record}


def test_a_record_never_changes(tmp_path: Path, job: Job) -> None:
    records = Records(tmp_path)
    records.ask(job)
    asked = (tmp_path / f"{job.id}.asked.json").read_bytes()
    records.ask(replace(job, params={}))
    assert (tmp_path / f"{job.id}.asked.json").read_bytes() == asked
    records.finish(Live(job), outcome(job), DESCRIBE)
    finished = (tmp_path / f"{job.id}.finished.json").read_bytes()
    with pytest.raises(StorageError, match="never change"):
        records.finish(Live(job), Outcome("failed", "later"), DESCRIBE)
    assert (tmp_path / f"{job.id}.finished.json").read_bytes() == finished


@pytest.mark.parametrize(("select", "expected"), [("last", 0.6), ("best_val", 0.8)])
def test_a_stopped_trial_keeps_the_value_of_the_weights_it_would_hand_on(
    job: Job, select: str, expected: float
) -> None:
    recipe = replace(job.spec.distill.recipe, select=select)
    spec = replace(job.spec, distill=replace(job.spec.distill, recipe=recipe))
    live = Live(replace(job, spec=spec))
    live.note(ready(job))
    live.note(Report(1, 4, 0.8, 1.0))
    live.note(Report(2, 4, 0.6, 1.0))
    settled = live.settled(Outcome("stopped"))
    assert settled.values["student.val_accuracy"] == expected
    assert (settled.host, settled.device, settled.artifacts) == ("here", "cpu", ready(job).artifacts)
