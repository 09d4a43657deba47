"""The files of each trial on disk, and that finished ones never change."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.codec import encode
from pdsearch.errors import StorageError
from pdsearch.protocol import Event, Job, Outcome, Progress, Report
from pdsearch.search.records import Live, Records
from pdsearch.trial_record import record_to_json
from tests.search.scripted_trials import DESCRIBE, ledger, outcome, ready, reports, space


@pytest.fixture
def job(tmp_path: Path) -> Job:
    asked = ledger(space(tmp_path / "study")).ask()
    assert asked is not None
    return replace(asked, baselines={"alone": "a" * 64})


def test_a_record_holds_what_was_asked_said_and_reached(tmp_path: Path, job: Job) -> None:
    live = Live(job)
    said: list[Event] = [Progress("teacher"), ready(job), *reports(job)]
    for event in said:
        live.note(event)
    records = Records(tmp_path)
    records.ask(job)
    record = records.finish(live, outcome(job), DESCRIBE)
    assert {path.name for path in tmp_path.glob("*.json")} == {
        f"{job.id}.asked.json",
        f"{job.id}.finished.json",
    }
    assert record_to_json(record) == json.loads((tmp_path / f"{job.id}.finished.json").read_text())
    assert record.spec == job.spec
    assert record.config == DESCRIBE.config(job.spec)
    assert record.baselines == job.baselines
    assert encode(record.student) == {**ready(job).student, "artifact": job.key, "widths": {}}
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


def test_a_torn_file_is_not_taken_for_a_record(tmp_path: Path, job: Job) -> None:
    Records(tmp_path).finish(Live(job), outcome(job), DESCRIBE)
    path = tmp_path / f"{job.id}.finished.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert Records(tmp_path).finished == {}


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


def test_an_epoch_said_again_is_known_already(job: Job) -> None:
    live = Live(job)
    assert live.note(Report(1, 4, 0.5, 1.0))
    assert not live.note(Report(1, 4, 0.5, 1.0))
    assert len(live.reports) == 1
