"""Figures of results hold the numbers of the rows they are drawn from."""

import pytest

from pdsearch.analysis import pareto_front, rank_teachers
from pdsearch.analysis.figures.results import front_figure, importance_figure, intervals
from pdsearch.analysis.importance import Importance, Importances
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.analysis.test_report import OBJECTIVES, RECORDS


def test_students_are_dots_and_their_mean_has_its_interval() -> None:
    found = study(RECORDS)
    ranking = rank_teachers(found)
    drawn = intervals(ranking, found.rows)
    assert drawn is not None
    dots, means = drawn.data[0], drawn.data[1]
    assert sorted(dots.x) == pytest.approx([65, 66, 67, 69, 70, 70, 71, 72, 74])
    by_label = dict(zip(means.y, zip(means.x, means.error_x.array, strict=True), strict=True))
    for row in ranking.rows:
        if row.val is not None:
            assert row.val.half_width is not None
            assert by_label[row.label] == pytest.approx((100 * row.val.mean, 100 * row.val.half_width))


def test_one_seed_has_no_interval_and_no_seed_no_figure() -> None:
    found = study(confirmed("magnitude", [0.7]))
    drawn = intervals(rank_teachers(found), found.rows)
    assert drawn is not None
    assert list(drawn.data[1].error_x.array) == [0]
    assert intervals(rank_teachers(study([])), []) is None


def test_the_front_joins_what_none_beats() -> None:
    found = study(RECORDS, space={"objectives": OBJECTIVES})
    trials, best = front_figure(pareto_front(found), found.rows).data
    assert sorted(trials.y) == pytest.approx([0.6, 0.61, 0.62, 0.63])
    assert list(best.y) == pytest.approx([0.63])


def test_importances_are_shares_in_per_cent() -> None:
    drawn = importance_figure(Importances((Importance("a", 0.75), Importance("b", 0.25)), 30, 0.5))
    assert drawn is not None
    assert dict(zip(drawn.data[0].y, drawn.data[0].x, strict=True)) == {"a": 75, "b": 25}
    assert importance_figure(Importances((), 3, reason="too few")) is None


def test_a_record_without_the_objectives_is_left_out() -> None:
    item = record("magnitude", 0.9, kind="search", number=9)
    del item["values"]["student.params"]
    found = study([*RECORDS, item], space={"objectives": OBJECTIVES})
    assert max(front_figure(pareto_front(found), found.rows).data[0].y) == pytest.approx(0.63)
