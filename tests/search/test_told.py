import pytest
from optuna.trial import TrialState

from pdsearch.search.optuna_backend.outcome import told
from pdsearch.trial_record import TrialRecord
from tests.trial_records import finished, reports

ACCURACY = "student.val_accuracy"


def record(state: str) -> TrialRecord:
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
    said = told(record(state), [ACCURACY])
    assert (said.state, said.values, said.reports) == (told_state, values, {1: 0.25, 2: 0.5})


@pytest.mark.parametrize("metrics", [["b"], [ACCURACY, "b"]])
def test_a_study_is_told_accuracies_only_where_they_are_what_it_improves(metrics: list[str]) -> None:
    whole, stopped = told(record("complete"), metrics), told(record("stopped"), metrics)
    assert whole.values == [{ACCURACY: 0.5, "b": 7.0}[metric] for metric in metrics]
    assert whole.reports == stopped.reports == {}
    assert (stopped.state, stopped.values) == (TrialState.PRUNED, None)
