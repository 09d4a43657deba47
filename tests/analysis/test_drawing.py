"""Every figure looks the same, and a trial that was stopped early looks like no other."""

from pdsearch.analysis.figures.style import coloured, drawn, points, searched
from tests.analysis.synthetic_studies import record, study


def test_dots_of_stopped_trials_are_hollow() -> None:
    rows = study(
        [record(None, 0.5, kind="search"), record(None, 0.5, kind="search", number=1, state="stopped")]
    ).rows
    dots = points("all", rows, [1, 2], "#000000")
    assert list(dots.marker.symbol) == ["circle", "circle-open"]
    assert drawn([dots], "x", "y").layout.xaxis.title.text == "x"


def test_only_search_trials_that_reached_an_epoch_are_drawn() -> None:
    records = [
        record(None, 0.5, kind="search", number=2),
        record(None, 0.5, kind="search", number=1, state="failed"),
        record(None, 0.5, kind="search", number=0, state="stopped"),
        record(None, 0.5),
    ]
    assert [row.number for row in searched(study(records).rows)] == [0, 2]


def test_colours_begin_again_when_there_are_no_more() -> None:
    groups = {str(place): list(searched(())) for place in range(9)}
    colours = [colour for colour, _ in coloured(groups)]
    assert colours[7] == colours[0] != colours[1]
