"""Table, markdown, CSV and JSON tell the same numbers, and stay whole whatever a name holds."""

import csv
import io
import json

import pytest

from pdsearch.analysis.forms import as_csv, as_json, as_markdown
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.tables import as_table, percent, show_estimate, show_gain
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.analysis.test_ranking import RECORDS


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return rank_teachers(study(RECORDS))


def test_table_cells(ranking: Ranking) -> None:
    table = as_table(ranking, detail=True)
    line = dict(zip(table.columns, table.rows[1], strict=True))
    assert line["rank"] == "2"
    assert line["confirmed by"] == "3 seeds"
    assert line["student val %"] == "72.00 ± 4.97"
    assert line["vs unpruned, same"] == "+2.00 [-0.14, +4.14]"
    assert line["vs alone"] == "+11.00† [+9.11, +12.89]"
    assert line["student weights"] == "9,000,000"
    unconfirmed = dict(zip(table.columns, table.rows[-2], strict=True))
    assert (unconfirmed["confirmed by"], unconfirmed["student val %"]) == ("unconfirmed", "best 66.00")
    assert (unconfirmed["trials, full (epochs)"], unconfirmed["vs alone"]) == ("2, 1 (20/20)", "-")
    assert line["teacher val/test %"] == "80.00/90.00"
    assert as_table(ranking).columns == table.columns[:10]
    assert {len(cells) for cells in table.rows} == {len(table.columns)} == {len(table.numeric)}


def test_gains_say_which_accuracy_they_are_in(ranking: Ranking) -> None:
    assert as_table(ranking).footer[-1] == "Gains are in points of test accuracy."
    untested = [*confirmed("magnitude", [0.7, 0.8]), *confirmed(None, [0.6, 0.7])]
    for item in untested:
        item["test"] = None
    table = as_table(rank_teachers(study(untested)))
    assert table.footer[-1] == "Gains are in points of validation accuracy."
    assert "+10.00" in table.rows[0][2]


def test_json_holds_every_number(ranking: Ranking) -> None:
    value = json.loads(as_json(ranking))
    assert [row["label"] for row in value["rows"]] == [row.label for row in ranking.rows]
    second = value["rows"][1]
    assert second["val"]["mean"] == pytest.approx(0.72)
    assert second["gains_val"]["unpruned_same"]["p_holm"] is not None
    assert second["best"]["spec"]["teacher"]["model"] == "vgg19_bn"
    assert value["footer"] == list(ranking.footer)


def test_csv_holds_a_line_each(ranking: Ranking) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(ranking))))
    assert [row["label"] for row in rows] == [row.label for row in ranking.rows]
    assert float(rows[1]["gain_val_unpruned_best_mean"]) == pytest.approx(0.01)
    assert rows[-1]["val_mean"] == ""


def test_markdown_keeps_its_columns_whatever_a_name_holds() -> None:
    item = record("magnitude", 0.7)
    item["teacher"]["model"] = "a|b*c\nd"
    lines = as_markdown(rank_teachers(study([item]))).splitlines()
    table = [line.replace("\\|", "") for line in lines if line.startswith("| ")]
    assert len(table) == 3
    assert len({line.count("|") for line in table}) == 1


def test_forms_of_nothing() -> None:
    empty = rank_teachers(study([]))
    assert as_table(empty).rows == ()
    assert as_csv(empty) == "rank,label\n"
    assert json.loads(as_json(empty))["rows"] == []
    assert "Nothing is confirmed" in as_markdown(empty)


def test_one_configuration_shows_its_test_accuracy() -> None:
    table = as_table(rank_teachers(study([record("magnitude", 0.7, kind="search", test=0.69)])))
    (row,) = (dict(zip(table.columns, cells, strict=True)) for cells in table.rows)
    assert (row["student val %"], row["student test %"]) == ("70.00", "69.00")


def test_shares() -> None:
    assert [percent(0.12345), percent(None), percent(0.01, signed=True)] == ["12.35", "-", "+1.00"]


def test_estimates() -> None:
    assert show_estimate(None) == "-"
    assert show_estimate(Estimate(1, 0.5)) == "50.00"
    assert show_estimate(Estimate(3, 0.5, 0.4, 0.6)) == "50.00 ± 10.00"
    assert show_estimate(Estimate(3, 0.5, 0.49999, 0.50001)) == "50.00 ± <0.01"
    assert show_estimate(Estimate(2, 0.99, 0.95, 1.03).as_share()) == "99.00 [95.00, 100.00]"
    assert show_estimate(Estimate(2, 0.01, -0.02, 0.04).as_share()) == "1.00 [0.00, 4.00]"


def test_equal_values_are_not_certain() -> None:
    assert show_estimate(Estimate(3, 0.5)) == "50.00 (all equal)"
    assert show_gain(Gain(Estimate(3, -0.01))) == "-1.00 (all equal)"


def test_a_gain_is_shown_with_its_mark() -> None:
    estimate = Estimate(3, 0.01, 0.005, 0.015)
    assert show_gain(Gain(estimate, mark="*")) == "+1.00* [+0.50, +1.50]"
    assert show_gain(Gain(estimate, mark="†")) == "+1.00† [+0.50, +1.50]"
    assert show_gain(Gain(estimate, p=0.01, p_holm=0.06)) == "+1.00 [+0.50, +1.50]"
    assert show_gain(Gain(Estimate(1, -0.01))) == "-1.00"
    assert show_gain(None) == "-"
