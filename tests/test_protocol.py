"""Jobs and events between a runner and a trial, and the runner in this process."""

import json
from pathlib import Path

import pytest

from pdsearch.driver import run_serially
from pdsearch.objectives import Constraint
from pdsearch.protocol import (
    Event,
    Job,
    Outcome,
    Progress,
    Ready,
    Report,
    StudentFacts,
    TeacherFacts,
    Use,
    event_from_json,
    event_to_json,
)
from pdsearch.records.codec import decode, encode
from tests.pipeline.digits import ALONE, SPEC, distilled, job, pruned, site
from tests.pipeline.given import Given

USE = Use("teacher", "a" * 64, True, 1.5)
EVENTS: list[Event] = [
    Progress("teacher"),
    Progress("prune", "round 1 of 2", 3, 6, 0.75),
    Ready(
        TeacherFacts(key="k", config="c", model="m", sparsity=0.5),
        StudentFacts(model="m", options={"width": 2}, params=900, widths={"w": (2, 8)}),
        (USE,),
        {"teacher": 2},
        "here",
        "cpu",
    ),
    Ready(None, StudentFacts(model="m")),
    Report(1, 4, 0.5, 2.25),
    Outcome(
        "complete",
        None,
        {"student.val_accuracy": 0.1},
        {"student.accuracy": 0.2},
        "1:eA==",
        "k",
        (USE,),
        {"d": 1},
    ),
    Outcome("failed", "why"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_the_way_through_json(event: Event) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


WHOLE = job(
    pruned(SPEC, exclude=("a*", "b")),
    number=3,
    params={"prune.method": "magnitude", "distill.temperature": 4.5},
    limits=(Constraint("student.params", "<=", 1e4), Constraint("student.flops", ">=", 1.0)),
    decide_at=(1, 3),
    test=True,
    baselines={"alone": "c" * 64},
)


@pytest.mark.parametrize("sent", [WHOLE, job(ALONE)], ids=["whole", "plain"])
def test_a_job_survives_the_way_through_json(sent: Job) -> None:
    assert decode(Job, json.loads(json.dumps(encode(sent)))) == sent


def test_every_job_is_told_of_and_finished_once(tmp_path: Path) -> None:
    given = Given([job(ALONE, id="a"), job(distilled(ALONE, seed=1), id="b")])
    run_serially(given, site(tmp_path))
    assert {name: outcome.state for name, outcome in given.outcomes.items()} == {
        "a": "complete",
        "b": "complete",
    }
    assert all(sum(isinstance(event, Report) for event in told) == 2 for told in given.told.values())
    assert not any(isinstance(event, Outcome) for told in given.told.values() for event in told)


def test_a_stopped_job_is_closed_with_its_progress_saved(tmp_path: Path) -> None:
    stopped = job(ALONE, id="a")
    jobs = [stopped, job(distilled(ALONE, seed=1), id="b")]
    given = Given(jobs, lambda job, event: job.id == "a" and isinstance(event, Report))
    run_serially(given, site(tmp_path))
    assert given.outcomes["a"] == Outcome("stopped")
    assert given.outcomes["b"].state == "complete"
    assert sum(isinstance(event, Report) for event in given.told["a"]) == 1
    assert (tmp_path / "progress" / stopped.key).is_dir()
