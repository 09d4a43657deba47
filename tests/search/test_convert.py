from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from pdsearch.search.optuna_backend.convert import agrees, as_interrupted, as_trial
from pdsearch.search.optuna_backend.outcome import INTERRUPTED, told
from pdsearch.trial_record import TrialRecord
from tests.faults import scripted_study
from tests.trial_records import asked, finished, reports

SPACE = scripted_study.space(Path("/nowhere"))


PARAMS = {"prune.method": "none", "distill.alpha": 0.5}


def record(state: str = "complete", **changed: object) -> TrialRecord:
    values = {} if state == "failed" else {"student.val_accuracy": 0.5, "student.params": 1200.0}
    given: dict[str, Any] = {"params": PARAMS, "reports": reports(0.25, 0.5), "values": values, **changed}
    return finished(state=state, reason="it broke" if state == "failed" else None, **given)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("complete", TrialState.COMPLETE),
        ("stopped", TrialState.PRUNED),
        ("infeasible", TrialState.COMPLETE),
        ("failed", TrialState.FAIL),
    ],
)
def test_a_record_becomes_a_trial_that_agrees_with_it(state: str, expected: TrialState) -> None:
    trial = as_trial(record(state), SPACE)
    assert trial.state is expected
    assert trial.intermediate_values == {1: 0.25, 2: 0.5}
    assert trial.params == {"prune.method": "none", "distill.alpha": 0.5}
    assert trial.user_attrs.get("reason") == ("it broke" if state == "failed" else None)
    assert agrees(trial, record(state), SPACE)


def test_a_broken_constraint_is_positive() -> None:
    assert as_trial(record(), SPACE).constraints == {"student.params <= 1000.0": 200.0}


def test_a_trial_that_broke_a_constraint_before_its_first_epoch_has_no_value() -> None:
    trial = as_trial(record("infeasible", reports=()), SPACE)
    assert (trial.state, trial.values) == (TrialState.PRUNED, None)


def test_an_interrupted_trial_is_no_failure_of_its_own() -> None:
    trial = as_interrupted(asked(params=PARAMS), SPACE)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.FAIL, INTERRUPTED)


@pytest.mark.parametrize(
    "changed",
    [
        record("stopped"),
        record(params={"prune.method": "none", "distill.alpha": 0.75}),
        record(values={"student.val_accuracy": 0.75, "student.params": 1200.0}),
        record(values={"student.val_accuracy": 0.5, "student.params": 900.0}),
        record(reports=reports(0.25)),
    ],
    ids=["state", "params", "value", "constraint", "reports"],
)
def test_a_trial_that_says_otherwise_does_not_agree(changed: TrialRecord) -> None:
    assert not agrees(as_trial(changed, SPACE), record(), SPACE)


def test_a_running_trial_agrees_as_far_as_it_got() -> None:
    trial = as_interrupted(asked(params=PARAMS), SPACE)
    trial.state = TrialState.RUNNING
    trial.intermediate_values = {1: 0.25}
    assert agrees(trial, record(), SPACE)
    trial.intermediate_values = {1: 0.75}
    assert not agrees(trial, record(), SPACE)


ACCURACY = "student.val_accuracy"


def record_of_told(state: str) -> TrialRecord:
    return finished(state=state, reports=reports(0.25, 0.5), values={ACCURACY: 0.5, "b": 7})


@pytest.mark.parametrize(
    ("state", "told_state", "values"),
    [
        ("complete", TrialState.COMPLETE, [0.5]),
        ("stopped", TrialState.PRUNED, [0.5]),
        ("infeasible", TrialState.COMPLETE, [0.5]),
        ("failed", TrialState.FAIL, None),
    ],
)
def test_a_state_and_its_value(state: str, told_state: TrialState, values: list[float] | None) -> None:
    said = told(record_of_told(state), [ACCURACY])
    assert (said.state, said.values, said.reports) == (told_state, values, {1: 0.25, 2: 0.5})


@pytest.mark.parametrize("metrics", [["b"], [ACCURACY, "b"]])
def test_a_study_is_told_accuracies_only_where_they_are_what_it_improves(metrics: list[str]) -> None:
    whole, stopped = told(record_of_told("complete"), metrics), told(record_of_told("stopped"), metrics)
    assert whole.values == [{ACCURACY: 0.5, "b": 7.0}[metric] for metric in metrics]
    assert whole.reports == stopped.reports == {}
    assert (stopped.state, stopped.values) == (TrialState.PRUNED, None)
