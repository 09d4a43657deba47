"""A job arrives as it was sent, and its limits are checked."""

import json
from pathlib import Path

import pytest

from pdsearch.objectives import Constraint
from pdsearch.protocol import Job, job_from_json, job_to_json
from tests.pipeline.digits import ALONE, SPEC, job, pruned
from tests.search.scripted_trials import ledger, searching, space

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
    assert job_from_json(json.loads(json.dumps(job_to_json(sent)))) == sent


def test_a_job_of_a_ledger_survives_it_too(tmp_path: Path) -> None:
    halving = searching(stop={"halving": {"min_epochs": 1, "factor": 2}})
    asked = ledger(space(tmp_path, search=halving, constraints=["student.params <= 1e9"])).ask()
    assert asked is not None
    assert job_from_json(json.loads(json.dumps(job_to_json(asked)))) == asked
