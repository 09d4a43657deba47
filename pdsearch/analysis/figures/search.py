"""Figures of a search: why a teacher is better, how the search went, which parameters mattered, what it cost."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pdsearch.analysis.figures.searched_parameters import parameter_figures
from pdsearch.analysis.figures.style import (
    ACCURACY,
    PADDED,
    Figure,
    Points,
    Spec,
    accuracy_axis,
    by_name,
    channel,
    dots,
    evenly,
    method_of,
    searched,
    tips,
    trial_points,
)
from pdsearch.analysis.importance import Importances
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.study_table import Row, StudyTable

_MOST_CURVES = 60
_WHOLE_NUMBERS: Spec = {"tickMinStep": 1, "format": "d"}
_HOLLOW = (
    "Hollow dots were stopped early: theirs is the accuracy after fewer epochs. Triangles lie below the axis. "
    "Search trials are no estimates."
)


def search_figures(study: StudyTable, ranking: Ranking, found: Importances) -> Iterator[Figure]:
    """Yield the figures of a study's search that it has data for."""
    rows, points = searched(study.rows), trial_points(study)
    states = sorted({point["state"] for point in points})
    students = list(dict.fromkeys(row.student for row in ranking.rows))
    for number, student in enumerate(students):
        mark = ("", "") if len(students) == 1 else (f"-{number + 1}", f" · {student}")
        alike = [point for point in points if point["student"] == student]
        for figure in (
            *_by_sparsity(rows, alike, states),
            *_by_teacher([row for row in ranking.rows if row.student == student]),
        ):
            yield replace(figure, name=figure.name + mark[0], title=figure.title + mark[1])
    if points:
        yield _history(rows, points, states)
    yield from _curves(study)
    yield from parameter_figures(study, found)
    yield from _costs(study)


def _by_sparsity(rows: Sequence[Row], points: Points, states: Sequence[str]) -> Iterator[Figure]:
    if len({point["sparsity"] for point in points} - {None}) < 2:
        return
    x = channel("sparsity", title="sparsity of the teacher, %", scale=PADDED)
    colour, y = by_name(sorted(point["method"] for point in points)), accuracy_axis(rows)
    median = {
        "transform": [{"filter": "datum.state === 'complete'"}],
        "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.7, "clip": True},
        "encoding": {"x": x, "y": {**y, "aggregate": "median"}, "stroke": colour},
    }
    alike = {"transform": [{"filter": {"field": "student", "equal": points[0]["student"]}}]}
    spec = {"data": {"name": "trials"}, **alike, "layer": [median, dots(x, y, colour, states)]}
    caption = f"Lines join the medians of the fully trained. {_HOLLOW}"
    yield Figure("sparsity", "why", "How much to prune, and by which method", caption, spec)


def _by_teacher(lines: Sequence[Ranked]) -> Iterator[Figure]:
    # An accuracy after fewer epochs says nothing about a teacher beside those of whole trainings.
    lines = [row for row in lines if row.role != "alone"]
    taught = [row for row in lines if row.val or row.full_trials]
    values: Points = [
        {
            "label": row.label,
            "x": 100 * row.teacher_val,
            "y": 100 * student,
            "method": method_of(row.best),
            "confirmed": "confirmed" if row.val else "best of its search",
        }
        for row in taught
        for student in [row.val.mean if row.val else row.search_best]
        if row.teacher_val is not None and student is not None
    ]
    if len({value["x"] for value in values}) < 2:
        return
    titles = {"x": "teacher's validation accuracy, %", "y": ACCURACY}
    axes = {name: channel(name, title=title, scale=PADDED) for name, title in titles.items()}
    colour = by_name(sorted(value["method"] for value in values))
    whole = {"condition": {"test": "datum.confirmed === 'confirmed'", "value": 0.8}, "value": 0}
    tip = tips(label="teacher", confirmed="students")
    layer = {
        "mark": {"type": "point", "size": 80, "strokeWidth": 1.5},
        "encoding": {**axes, "stroke": colour, "fill": colour, "fillOpacity": whole, "tooltip": tip},
    }
    spec = {"data": {"values": values}, "layer": [layer]}
    short = len(lines) - len(taught)
    left_out = f" {short} without a student trained to its end are left out." if short else ""
    caption = f"A dot a teacher, filled where its students are confirmed.{left_out} {_correlation(values)}"
    yield Figure("teachers", "why", "Does the better teacher teach better?", caption, spec)


def _correlation(values: Points) -> str:
    # The best of a search is higher than a mean of fresh students: the two are not ranked together.
    confirmed = [value for value in values if value["confirmed"] == "confirmed"]
    values, told = (confirmed, "confirmed teachers") if confirmed else (values, "teachers")
    if len(values) < 4:
        return f"{len(values)} {told} are too few for a rank correlation."
    if len({value["y"] for value in values}) < 2:
        return "All students are equally good: there is no rank correlation."
    from scipy.stats import permutation_test, rankdata

    ours, theirs = (rankdata([value[axis] for value in values]) for axis in ("x", "y"))
    ours, theirs = ((ranks - ranks.mean()) / ranks.std() for ranks in (ours, theirs))
    # Exact up to seven teachers, of which the usual approximation makes too much.
    found = permutation_test(
        (ours,),
        lambda ranks, axis: np.mean(ranks * theirs, axis=axis),
        permutation_type="pairings",
        vectorized=True,
        n_resamples=9_999,
        rng=0,
    )
    p = f"p = {found.pvalue:.2f}" if found.pvalue >= 0.01 else "p < 0.01"
    return f"Spearman's rank correlation is {found.statistic:+.2f} over {len(values)} {told} ({p})."


def _history(rows: Sequence[Row], points: Points, states: Sequence[str]) -> Figure:
    x = channel("number", title="trial", axis=_WHOLE_NUMBERS, scale=PADDED)
    y, colour = accuracy_axis(rows), by_name(sorted(point["method"] for point in points))
    best = {
        "transform": [
            {"calculate": "datum.state === 'complete' ? datum.y : null", "as": "whole"},
            {"window": [{"op": "max", "field": "whole", "as": "best"}], "sort": [{"field": "number"}]},
            {"filter": "isValid(datum.best)"},
        ],
        "mark": {"type": "line", "interpolate": "step-after", "color": "var(--soft)"},
        "encoding": {"x": x, "y": {**y, "field": "best"}},
    }
    spec = {"data": {"name": "trials"}, "layer": [best, dots(x, y, colour, states)]}
    return Figure("history", "search", "Trial by trial", f"The line is the best so far. {_HOLLOW}", spec)


def _curves(study: StudyTable) -> Iterator[Figure]:
    rows = [row for row in searched(study.rows) if len(row.record.reports) > 1]
    rows.sort(key=lambda row: (row.record.state != "complete", -(row.val_accuracy or 0.0)))
    values: Points = [
        {
            "id": row.id,
            "epoch": report.epoch,
            "y": round(100 * report.val_accuracy, 3),
            "method": method_of(row),
            "state": "stopped early" if row.state == "stopped" else "trained whole",
        }
        for row in evenly(rows, _MOST_CURVES)
        for report in row.record.reports
        if report.val_accuracy is not None
    ]
    if not values:
        return
    opacity = {"domain": ["trained whole", "stopped early"], "range": [0.8, 0.3]}
    spec = {
        "data": {"values": values},
        "mark": {"type": "line", "strokeWidth": 1.2, "clip": True},
        "encoding": {
            "x": channel("epoch", axis=_WHOLE_NUMBERS, scale={"zero": False, "nice": False}),
            "y": channel("y", title=ACCURACY, scale=_upper(values)),
            "detail": {"field": "id"},
            "color": by_name(sorted(value["method"] for value in values)),
            "opacity": channel("state", "nominal", scale=opacity, legend=None),
            "tooltip": tips(id="trial"),
        },
    }
    drawn = min(len(rows), _MOST_CURVES)
    which = (
        f"{drawn} of {len(rows)} trials, the best among them" if drawn < len(rows) else f"All {drawn} trials"
    )
    below = "The lowest fifth of the accuracies lies below the axis."
    caption = f"{which}; the pale ones were stopped early. {below}"
    yield Figure("curves", "search", "Learning curves", caption, spec)


def _upper(values: Points) -> Spec:
    """Return a scale that leaves out the lowest fifth of the values, which first epochs have."""
    found = sorted(value["y"] for value in values)
    return {"domain": [found[len(found) // 5], found[-1]], "zero": False, "nice": True}


@dataclass(frozen=True)
class Spent:
    """What one stage cost.

    Args:
        stage: Its name.
        made: Number of different artifacts.
        uses: How often trials used them.
        seconds: Seconds that making each of them once took.
        saved: Seconds that making them again for each further use would have taken.
    """

    stage: str
    made: int
    uses: int
    seconds: float
    saved: float


_STAGES = {
    "teacher": "dense teachers",
    "prune": "pruning and recovery",
    "outputs": "teachers' outputs",
    "student": "students",
}


def spent(study: StudyTable) -> list[Spent]:
    """Return what each stage cost over all trials, and what reuse saved; stages without seconds are left out."""
    uses: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in study.rows:
        for use in row.record.artifacts:
            uses[use.stage][use.key].append(use.seconds)
    found = []
    for stage, keys in sorted(uses.items(), key=lambda item: [*_STAGES, item[0]].index(item[0])):
        once = math.fsum(max(seconds) for seconds in keys.values())
        whole = math.fsum(max(seconds) * len(seconds) for seconds in keys.values())
        count = sum(len(seconds) for seconds in keys.values())
        if whole > 0:
            found.append(Spent(_STAGES.get(stage, stage), len(keys), count, once, whole - once))
    return found


def _costs(study: StudyTable) -> Iterator[Figure]:
    stages = spent(study)
    if not stages:
        return
    longest = max(item.seconds + item.saved for item in stages)
    unit, size = ("hours", 3600) if longest > 7200 else ("minutes", 60) if longest > 120 else ("seconds", 1)
    values = [
        {"stage": item.stage, "what": what, "time": seconds / size, "order": place}
        for item in stages
        for place, (what, seconds) in enumerate((("spent", item.seconds), ("saved by reuse", item.saved)))
    ]
    kinds = {"domain": ["spent", "saved by reuse"], "range": ["var(--c0)", "var(--c2)"]}
    axis = {"labelLimit": 170, "labelColor": "var(--ink)"}
    spec = {
        "data": {"values": values},
        "height": {"step": 34},
        "mark": {"type": "bar"},
        "encoding": {
            "x": channel("time", title=unit),
            "y": channel("stage", "nominal", sort=[item.stage for item in stages], title=None, axis=axis),
            "color": channel("what", "nominal", scale=kinds),
            "order": {"field": "order"},
            "tooltip": [{"field": "what"}, channel("time", format=".3g", title=unit)],
        },
    }
    caption = "Every result is made once and serves all trials; without that each would have made its own."
    yield Figure("cost", "cost", "Time by stage", caption, spec)
