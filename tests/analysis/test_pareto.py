"""The front holds exactly the trials no other dominates, and tells the same numbers in every form."""

import csv
import io
import json

import pytest

from pdsearch.analysis.forms import front_as_csv, front_as_json
from pdsearch.analysis.pareto import Front, pareto_front
from pdsearch.analysis.tables import front_as_table
from pdsearch.errors import ConfigError
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.analysis.test_report import OBJECTIVES


def _trials() -> list[dict[str, object]]:
    values = [(0.9, 100), (0.8, 50), (0.8, 60), (None, 10)]
    trials = []
    for number, (accuracy, params) in enumerate(values):
        item = record("magnitude", 0.5, kind="search", number=number)
        item["values"] = {"student.params": params} | ({"student.val_accuracy": accuracy} if accuracy else {})
        trials.append(item)
    return [*trials, record("magnitude", 0.99, kind="search", number=9, state="stopped")]


def test_a_studys_own_objectives() -> None:
    found = pareto_front(study(_trials(), space={"objectives": OBJECTIVES}))
    assert [row.number for row in found.rows] == [0, 1]
    assert [row.number for row in found.left_out] == [3]


def test_the_first_objective_orders_them() -> None:
    found = pareto_front(study(_trials(), space={"objectives": OBJECTIVES[::-1]}))
    assert [row.number for row in found.rows] == [1, 0]


def test_one_objective_has_no_front() -> None:
    with pytest.raises(ConfigError, match="two objectives"):
        pareto_front(study(_trials(), space={"objectives": OBJECTIVES[:1]}))


@pytest.fixture
def found() -> Front:
    return pareto_front(study(_trials(), space={"objectives": OBJECTIVES}))


def test_a_table_has_a_line_a_trial_and_counts_what_was_left_out(found: Front) -> None:
    table = front_as_table(found)
    assert table.columns[1:3] == ("student.val_accuracy (maximize)", "student.params (minimize)")
    assert [row[:3] for row in table.rows] == [("search-00000", "0.9", "100"), ("search-00001", "0.8", "50")]
    assert table.footer[0].endswith(": none is confirmed.")
    assert table.footer[-1] == "1 complete trial lacks an objective and was left out."


def test_programs_get_the_same_trials(found: Front) -> None:
    told = json.loads(front_as_json(found))
    assert [objective["metric"] for objective in told["objectives"]] == [
        "student.val_accuracy",
        "student.params",
    ]
    assert [row["student.params"] for row in told["rows"]] == [100, 50]
    assert told["rows"][0]["params"] == {"distill.temperature": 4.0}
    assert told["left_out"] == ["search-00003"]
    lines = list(csv.DictReader(io.StringIO(front_as_csv(found))))
    assert [line["trial"] for line in lines] == [row["trial"] for row in told["rows"]]
    assert json.loads(lines[0]["params"]) == {"distill.temperature": 4.0}


def test_members_show_what_their_fresh_students_reached() -> None:
    """The first was the luckier one: with fresh seeds the second is as good and smaller."""
    fresh = [
        item
        for number, (temperature, values) in enumerate(((4.0, [0.7, 0.8]), (8.0, [0.8, 0.9])))
        for item in confirmed("magnitude", values, test=-0.1, temperature=temperature)
    ]
    trials = _trials()[:2]
    for trial, temperature, params in zip(trials, (4.0, 8.0), (100, 50), strict=True):
        alike = [item for item in fresh if item["params"]["distill.temperature"] == temperature]
        trial["spec"] = alike[0]["spec"]
        for item in alike:
            item["values"]["student.params"] = params
    found = pareto_front(study([*trials, *fresh], space={"objectives": OBJECTIVES}))
    table = front_as_table(found)
    assert table.columns[3:6] == ("confirmed seeds", "confirmed val %", "confirmed test %")
    assert [row[3] for row in table.rows] == ["2", "2"]
    assert table.rows[1][4] == "85.00 [21.47, 100.00]"
    assert "another confirmed member beats search-00000." in table.footer[1]
    told = json.loads(front_as_json(found))["rows"]
    assert [row["confirmed"]["stands"] for row in told] == [False, True]
    lines = list(csv.DictReader(io.StringIO(front_as_csv(found))))
    assert float(lines[1]["confirmed_test_mean"]) == pytest.approx(0.75)
