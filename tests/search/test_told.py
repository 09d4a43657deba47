import pytest
from optuna.trial import TrialState

from pdsearch.search.told import told
from pdsearch.trial_record import TrialRecord
from tests.trial_records import finished, reports


def record(state: str) -> TrialRecord:
    return finished(state=state, reports=reports(0.25, 0.5), values={"a": 0.5, "b": 7})


@pytest.mark.parametrize(
    ("state", "told_state", "values"),
    [
        ("complete", TrialState.COMPLETE, [0.5]),
        ("stopped", TrialState.PRUNED, [0.5]),
        ("infeasible", TrialState.PRUNED, [0.5]),
        ("failed", TrialState.FAIL, None),
    ],
)
def test_a_state_and_its_value(state: str, told_state: TrialState, values: list[float] | None) -> None:
    said = told(record(state), ["a"])
    assert (said.state, said.values, said.reports) == (told_state, values, {1: 0.25, 2: 0.5})


def test_with_several_objectives_a_study_takes_no_reports() -> None:
    assert told(record("complete"), ["a", "b"]).values == [0.5, 7.0]
    assert told(record("complete"), ["a", "b"]).reports == {}
    assert told(record("infeasible"), ["a", "b"]).values is None
