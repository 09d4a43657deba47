"""Figures of a study's results: students and gains by teacher, the front."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pdsearch.analysis.figures.style import (
    Figure,
    Points,
    Spec,
    axis_title,
    by_name,
    channel,
    scale_of,
    tips,
    unit,
)
from pdsearch.analysis.pareto import Front
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.statistics import Estimate
from pdsearch.analysis.study_table import Row, StudyTable


def result_figures(study: StudyTable, ranking: Ranking) -> Iterator[Figure]:
    """Yield the figures of a study's results that it has data for."""
    yield from _accuracies(ranking, study.rows)
    yield from _gains(ranking)
    if ranking.front is not None:
        yield _front(ranking.front, study.rows)


def _short(labels: Sequence[str]) -> dict[str, str]:
    """Return labels without the first word where all that have a model begin with the same."""
    taught = [label for label in labels if not label.endswith(" alone")]
    if len({label.split(" ", 1)[0] for label in taught}) != 1 or any(" " not in label for label in taught):
        return {label: label for label in labels}
    return {label: label.split(" ", 1)[1] if label in taught else label for label in labels}


def _lines(labels: Sequence[str]) -> Spec:
    axis = {"labelLimit": 170, "labelExpr": "split(datum.label, ' -> ')", "ticks": False, "domain": False}
    axis["labelColor"] = "var(--ink)"
    return channel("label", "nominal", sort=list(labels), title=None, axis=axis)


def _accuracies(ranking: Ranking, rows: Sequence[Row]) -> Iterator[Figure]:
    lines = [row for row in ranking.rows if row.confirmed]
    short = _short([line.label for line in lines])
    kinds = [(name, f"{name}_accuracy") for name in ("val", "test")]
    words = {"val": "validation", "test": "test"}
    students = [
        {"label": short[line.label], "images": words[name], "x": 100 * value}
        for line in lines
        for name, metric in kinds
        for value in _students(line, rows, metric)
    ]
    means = [
        {"label": short[line.label], "images": words[name], **_interval(estimate)}
        for line in lines
        for name, _ in kinds
        if (estimate := line.val if name == "val" else line.test)
    ]
    if not means:
        return
    colour = by_name((str(item["images"]) for item in means), "images")
    x = channel("x", scale={"zero": False}, title="accuracy of the students, %")
    shared = {"y": _lines(list(short.values())), "yOffset": {"field": "images"}}
    spec = {
        "height": {"step": 17},
        "layer": [
            {
                "data": {"values": students},
                "mark": {"type": "point", "filled": True, "size": 26, "opacity": 0.35},
                "encoding": {**shared, "x": x, "color": colour},
            },
            *_marks(means, shared, colour, x["title"]),
        ],
    }
    caption = "Each dot is a student with seeds of its own; a diamond is the mean, its bar the 95 % interval."
    yield Figure("accuracy", "ranking", "Accuracy of each teacher's students", caption, spec)


def _interval(estimate: Estimate) -> dict[str, float]:
    low = estimate.mean if estimate.low is None else estimate.low
    high = estimate.mean if estimate.high is None else estimate.high
    return {"x": 100 * estimate.mean, "low": 100 * low, "high": 100 * high}


def _marks(values: Points, shared: Spec, colour: Spec, title: object) -> list[Spec]:
    """Return the layers of means with their intervals."""
    x = channel("x", scale={"zero": False}, title=title)
    ends = (("x", "mean"), ("low", "from"), ("high", "to"))
    tip = [channel(name, format=".2f", title=end) for name, end in ends]
    data, lower = {"values": values}, {**x, "field": "low"}
    return [
        {
            "data": data,
            "mark": {"type": "rule", "strokeWidth": 2},
            "encoding": {**shared, "x": lower, "x2": {"field": "high"}, "color": colour},
        },
        {
            "data": data,
            "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 80, "opacity": 1},
            "encoding": {**shared, "x": x, "color": colour, "tooltip": tip},
        },
    ]


def _students(line: Ranked, rows: Sequence[Row], metric: str) -> list[float]:
    same = (row for row in rows if row.kind == "confirm" and row.setting == line.best.setting)
    found = [getattr(row, metric) for row in same if row.state == "complete"]
    return [value for value in found if value is not None]


_OVER = {
    "unpruned_same": "unpruned, same configuration",
    "unpruned_best": "unpruned, its best",
    "alone": "student alone",
    "alone_best": "student alone, its best",
    "control": "whole, trained as long",
}


def _gains(ranking: Ranking) -> Iterator[Figure]:
    found = [
        (row.label, words, gain.estimate)
        for row in ranking.rows
        for question, words in _OVER.items()
        if (gain := row.gain(question))
    ]
    caption = (
        "Means over pairs of students with equal seeds, with 95 % intervals. A bar that crosses the dashed line shows "
        "no sure difference. Bars are not corrected for their number: the marks of the table are."
    )
    tested = any(gain for row in ranking.rows for gain in row.gains_test.values())
    title = f"gain in {'test' if tested else 'validation'} accuracy, points"
    yield from gains_figure(
        found, list(_OVER.values()), title, Figure("gains", "ranking", "Gain over each baseline", caption, {})
    )


def gains_figure(
    found: Sequence[tuple[str, str, Estimate]], kinds: Sequence[str], title: str, empty: Figure
) -> Iterator[Figure]:
    """Yield a figure of gains with their intervals, the line of no gain among them; nothing where there are none.

    Args:
        found: Line, kind, gain.
        kinds: The kinds, in their order; each has a colour.
        title: Of the axis.
        empty: The figure without its specification.
    """
    if not found:
        return
    labels = list(dict.fromkeys(label for label, *_ in found))
    short = _short(labels)
    values = [{"label": short[label], "over": over, **_interval(estimate)} for label, over, estimate in found]
    colour = by_name((kind for kind in kinds if any(item["over"] == kind for item in values)), "over")
    colour = {**colour, "legend": {"columns": {"expr": "width < 480 ? 1 : 4"}, "labelLimit": 240}}
    shared = {
        "y": _lines([short[label] for label in labels]),
        "yOffset": {"field": "over", "sort": list(kinds)},
    }
    zero = {
        "data": {"values": [{"zero": 0}]},
        "mark": {"type": "rule", "color": "var(--ink)", "strokeDash": [4, 3]},
        "encoding": {"x": channel("zero")},
    }
    spec = {"height": {"step": 17}, "layer": [zero, *_marks(values, shared, colour, title)]}
    yield replace(empty, spec=spec)


def _reached(front: Front, rows: Sequence[Row], x: str, y: str) -> Points:
    best = {row.id for row in front.rows}
    return [
        {
            "id": row.id,
            "x": unit(values[x], x),
            "y": unit(values[y], y),
            "on": "beaten by none" if row.id in best else "beaten",
        }
        for row in rows
        if row.kind in ("search", "baseline") and row.state == "complete"
        for values in [row.record.values]
        if x in values and y in values
    ]


def _front(front: Front, rows: Sequence[Row]) -> Figure:
    (x, _), (y, _) = front.objectives[1], front.objectives[0]
    points = _reached(front, rows, x, y)
    titles = {"x": axis_title(x), "y": axis_title(y)}
    axes = {at: channel(at, title=title, scale=scale_of(points, at)) for at, title in titles.items()}
    scale = {"domain": ["beaten by none", "beaten"], "range": ["var(--c1)", "var(--c6)"]}
    colour = channel("on", "nominal", scale=scale)
    line = {
        "transform": [{"filter": "datum.on === 'beaten by none'"}],
        "mark": {"type": "line", "interpolate": "step-after", "strokeDash": [4, 3], "color": "var(--c1)"},
        "encoding": axes,
    }
    fresh = [
        {"id": name, "x": unit(one.means[x], x), "y": unit(one.means[y], y)}
        for name, one in front.confirmed.items()
        if x in one.means and y in one.means
    ]
    tip = tips(id="trial", x=x, y=y)
    means = {
        "data": {"values": fresh},
        "mark": {"type": "point", "shape": "diamond", "filled": True, "size": 90, "color": "var(--ink)"},
        "encoding": {**axes, "tooltip": tip},
    }
    spots = {
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0.8},
        "encoding": {**axes, "color": colour, "tooltip": tip},
    }
    which = "; diamonds are the means of their confirmed students" if fresh else ", none confirmed"
    caption = f"The first two of {len(front.objectives)} objectives; complete search trials{which}."
    spec = {"data": {"values": points}, "layer": [line, spots, *([means] if fresh else [])]}
    return Figure("front", "front", f"{axis_title(y)} against {axis_title(x)}", caption, spec)
