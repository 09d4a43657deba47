"""Figures of a search show every trial that reached an epoch, and which of them were stopped early."""

import pytest

from pdsearch.analysis.figures.progress import by_parameter, by_sparsity, history
from tests.analysis.synthetic_studies import record, study
from tests.analysis.test_report import RECORDS

ROWS = study(RECORDS).rows


def test_the_best_so_far_never_falls_and_counts_complete_trials_only() -> None:
    drawn = history(ROWS)
    assert drawn is not None
    line, complete, stopped = drawn.data
    assert list(line.y) == pytest.approx([60, 61, 62, 63, 63])
    assert list(complete.x) == [0, 1, 2, 3]
    assert list(stopped.y) == pytest.approx([50])
    assert history(()) is None


def test_methods_are_told_apart() -> None:
    drawn = by_sparsity(ROWS)
    assert drawn is not None
    found = {trace.name: list(trace.x) for trace in drawn.data}
    assert found["magnitude"] == pytest.approx([59.04] * 4)
    assert found["unpruned"] == [0]
    assert by_sparsity(study(RECORDS[9:13]).rows) is None


def test_parameters_that_varied_have_a_figure_each() -> None:
    records = [record("magnitude", 0.5, kind="search", number=number) for number in range(3)]
    for place, item in enumerate(records):
        item["params"] = {"same": 1, "number": place, "choice": [None, "a", {"b": 1}][place]}
    figures = dict(by_parameter(study(records).rows))
    assert list(figures) == ["choice", "number"]
    assert list(figures["number"].data[0].x) == [0, 1, 2]
    assert list(figures["choice"].data[0].x) == ["null", "a", '{"b": 1}']
