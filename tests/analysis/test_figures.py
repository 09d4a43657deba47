"""Figures hold the numbers of the rows they are drawn from, and can be drawn in every form."""

from typing import Any

import pytest

from pdsearch.analysis.figures import Figure, compiled, drawn, result_figures, search_figures, trial_points
from pdsearch.analysis.figures.search import spent
from pdsearch.analysis.figures.style import evenly, searched, shown_range
from pdsearch.analysis.importance import Importance, Importances
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import StudyTable
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.analysis.test_report import OBJECTIVES, RECORDS
from tests.some import some

FOUND = Importances((Importance("distill.temperature", 0.75), Importance("prune.method", 0.25)), 30, 0.5)
SPACE = {
    "objectives": OBJECTIVES,
    "space": {
        "distill.temperature": {"low": 1, "high": 20, "log": True},
        "prune.method": {"choices": ["none", "magnitude"]},
        "distill.alpha": {"choices": [0.5]},
    },
}


def figures(found: StudyTable) -> dict[str, Figure]:
    ranking = rank_teachers(found)
    each = [*result_figures(found, ranking), *search_figures(found, ranking, FOUND)]
    return {figure.name: figure for figure in each}


@pytest.fixture(scope="module")
def found() -> StudyTable:
    return study(RECORDS, space=SPACE)


def values(figure: Figure, layer: int | None = None) -> list[dict[str, Any]]:
    spec = figure.spec if layer is None else figure.spec["layer"][layer]
    return list(spec["data"]["values"])


def test_every_figure_compiles_and_is_drawn(found: StudyTable) -> None:
    points = trial_points(found)
    for figure in figures(found).values():
        assert compiled(figure)["marks"], figure.name
        text = drawn(figure, points, "svg").decode()
        assert text.startswith("<svg"), figure.name
        assert "var(" not in text, figure.name
    assert drawn(figure, points, "pdf").startswith(b"%PDF")


def test_students_are_dots_and_their_mean_has_its_interval(found: StudyTable) -> None:
    figure = figures(found)["accuracy"]
    dots = [item["x"] for item in values(figure, 0) if item["images"] == "validation"]
    assert sorted(dots) == pytest.approx([65, 66, 67, 69, 70, 70, 71, 72, 74])
    means = {item["label"]: item for item in values(figure, 1) if item["images"] == "validation"}
    assert set(means) == {"magnitude 59%", "unpruned", "student alone"}
    val = some(rank_teachers(found).rows[0].val)
    ends = means["magnitude 59%"]["x"], means["magnitude 59%"]["low"]
    assert ends == pytest.approx((100 * val.mean, 100 * some(val.low)))


def test_dots_by_method_have_a_legend_that_says_which_is_which() -> None:
    pruned = record("taylor", 0.7, kind="search", number=9)
    whole = compiled(figures(study([*RECORDS, pruned]))["sparsity"])
    told = {legend.get(channel) for legend in whole["legends"] for channel in ("fill", "stroke")}
    methods = {
        scale["name"]
        for scale in whole["scales"]
        if scale.get("domain") == ["magnitude", "taylor", "unpruned"]
    }
    assert methods == told - {None}


def test_gains_stand_beside_zero(found: StudyTable) -> None:
    shown = {(item["label"], item["over"]): item["x"] for item in values(figures(found)["gains"], 1)}
    assert shown["magnitude 59%", "unpruned, same configuration"] == pytest.approx(2)
    assert shown["unpruned", "student alone"] == pytest.approx(4)


def test_one_seed_has_no_interval_and_no_seed_no_figure() -> None:
    (mean,) = values(figures(study(confirmed("magnitude", [0.7])))["accuracy"], 1)[:1]
    assert mean["low"] == mean["x"] == mean["high"]
    assert not {"accuracy", "gains"} & set(figures(study([])))


def test_the_front_joins_what_none_beats() -> None:
    item = record("magnitude", 0.9, kind="search", number=9)
    del item["values"]["student.params"]
    shown = values(figures(study([*RECORDS, item], space=SPACE))["front"])
    assert sorted(point["y"] for point in shown) == pytest.approx([60, 61, 62, 63])
    assert [point["y"] for point in shown if point["on"] == "beaten by none"] == pytest.approx([63])


def test_parameters_that_varied_have_a_figure_with_a_scale_as_they_were_searched(found: StudyTable) -> None:
    shown = {figure.title: figure for figure in figures(found).values() if figure.small}
    assert set(shown) == {"distill.temperature", "prune.method"}
    x = {name: figure.spec["layer"][0]["encoding"]["x"] for name, figure in shown.items()}
    assert x["distill.temperature"]["scale"]["type"] == "log"
    assert x["prune.method"]["type"] == "nominal"


def test_only_search_trials_that_reached_an_epoch_are_points(found: StudyTable) -> None:
    points = {point["number"]: point for point in trial_points(found)}
    assert sorted(points) == [0, 1, 2, 3, 4]
    assert (points[3]["state"], points[3]["p0"], points[3]["p1"]) == ("complete", 4.0, "magnitude")


def test_trials_stopped_early_and_outliers_leave_the_scale_alone() -> None:
    whole = [record("magnitude", 0.9 + place / 1000, kind="search", number=place) for place in range(9)]
    stopped = record(None, 0.2, kind="search", number=9, state="stopped", epochs=2)
    outlier = record(None, 0.1, kind="search", number=10)
    found = study([*whole, stopped, outlier])
    low, high = shown_range(searched(found.rows))
    assert 85 < low < 90
    assert 90.8 < high < 92
    below = [point for point in trial_points(found) if point["state"] == "below the axis"]
    assert [(point["number"], point["y"]) for point in below] == [(9, round(low, 4)), (10, round(low, 4))]


def test_the_rank_correlation_of_teachers_and_students_is_told() -> None:
    records = [record("magnitude", 0.6, kind="search", number=place) for place in range(5)]
    for place, item in enumerate(records):
        item["teacher"] |= {"config": f"{place}" * 64, "val_accuracy": 0.8 + place / 100}
        item["values"]["student.val_accuracy"] = 0.7 - place / 100
    assert "correlation is -1.00 over 5 teachers" in figures(study(records))["teachers"].caption
    assert "too few" in figures(study(records[:3]))["teachers"].caption
    records[0] |= {"state": "stopped", "reports": [{**records[0]["reports"][0], "epoch": 5}]}
    caption = figures(study(records))["teachers"].caption
    assert "1 without a student trained to its end are left out. " in caption
    assert "correlation is -1.00 over 4 teachers" in caption
    means = confirmed("magnitude", [0.7, 0.72])
    assert "1 confirmed teachers are too few" in figures(study([*records, *means]))["teachers"].caption, (
        "the best of a search is not ranked with means"
    )


def test_reuse_saves_what_making_a_result_again_would_have_taken() -> None:
    (stage,) = spent(study(RECORDS[:3]))
    assert (stage.stage, stage.made, stage.uses) == ("dense teachers", 1, 3)
    assert (stage.seconds, stage.saved) == (1.0, 2.0)
    assert len(values(figures(study(RECORDS))["cost"])) == 2


def test_a_selection_keeps_the_first_half() -> None:
    assert evenly(range(3), 4) == [0, 1, 2]
    assert evenly(range(10), 4) == [0, 1, 2, 6]
