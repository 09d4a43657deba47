"""The style that all figures of a report share, and how they are compiled and drawn.

Colours are the page's CSS variables, so that one drawing serves its light and its dark theme; on paper they are
replaced by the light theme's.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pdsearch.analysis.study_table import Row, StudyTable, searched_values
from pdsearch.objectives import VAL_ACCURACY, counts_as_trial
from pdsearch.records.students import alike

Spec: TypeAlias = dict[str, Any]
Points: TypeAlias = list[dict[str, Any]]

LIGHT: Mapping[str, str] = {
    "ink": "#1b1b1b",
    "soft": "#595959",
    "line": "#dddddd",
    "c0": "#0072b2",
    "c1": "#d55e00",
    "c2": "#008760",
    "c3": "#b8568f",
    "c4": "#8a6d00",
    "c5": "#3a8fc4",
    "c6": "#6b6b6b",
}
"""Name of a CSS variable -> its colour in the light theme: Okabe and Ito's palette, darkened to read on white."""

PADDED: Spec = {"zero": False, "nice": False, "padding": 12}
"""A scale of as many values as there are, with room for a dot at either end."""

_COLOURS = [f"var(--c{place})" for place in range(7)]
_STATES = ("complete", "stopped early", "infeasible", "below the axis")
_SHAPES = ("circle", "circle", "cross", "triangle-down")
ACCURACY = "student's validation accuracy, %"
_CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--ink)",
        "gridColor": "var(--line)",
        "domainColor": "var(--soft)",
        "tickColor": "var(--soft)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "axisX": {"tickCount": {"expr": "max(3, ceil(width / 110))"}},
    "axisY": {"tickCount": {"expr": "max(3, ceil(height / 50))"}},
    "legend": {
        "orient": "top",
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "title": None,
        "symbolBaseFillColor": "var(--ink)",
        "symbolBaseStrokeColor": "var(--ink)",
        "layout": {"top": {"direction": "vertical", "anchor": "start", "margin": 4}},
    },
}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        name: Its name in file names and anchors.
        section: Part of the report to which it belongs: "ranking", "why", "search", "parameters", "cost", "front".
        title: What it shows, as a heading.
        caption: What to know when reading it.
        spec: Its Vega-Lite specification; data named "trials" are those of `trial_points`.
        small: Whether several stand side by side.
    """

    name: str
    section: str
    title: str
    caption: str
    spec: Spec = field(repr=False)
    small: bool = False


def library() -> str:
    """Return Vega as a script that defines `vega`; Vega-Lite is not in it, for the page holds compiled figures."""
    import vl_convert

    # vl-convert's own name for Vega's modules, which it holds: nothing is fetched.
    address = f"https://cdn.jsdelivr.net/npm/vega@{vl_convert.get_vega_version()}/+esm"
    snippet = f'import {{View, parse}} from "{address}"; window.vega = {{View, parse}};'
    return str(vl_convert.javascript_bundle(snippet))


def compiled(figure: Figure) -> Spec:
    """Return a figure compiled to Vega, as wide as its place."""
    import vl_convert

    return dict(vl_convert.vegalite_to_vega(_whole(figure, "container")))


def drawn(figure: Figure, points: Points, form: str) -> bytes:
    """Return a figure drawn in the light theme.

    Args:
        figure: The figure.
        points: See `trial_points`.
        form: "svg" or "pdf".
    """
    import vl_convert

    spec = {**_whole(figure, 220 if figure.small else 440), "datasets": {"trials": points}}
    text = re.sub(r"var\(--(\w+)\)", lambda match: LIGHT[match[1]], json.dumps(spec))
    if form == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(text))
    return str(vl_convert.vegalite_to_svg(text)).encode()


def _whole(figure: Figure, width: int | str) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "height": 220 if figure.small else 300,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": _CONFIG,
        "description": figure.title,
        **figure.spec,
    }


def searched(rows: Iterable[Row]) -> list[Row]:
    """Return the search trials that reached an epoch, by id."""
    ended = [row for row in rows if row.kind == "search" and counts_as_trial(row.state)]
    return sorted((row for row in ended if row.val_accuracy is not None), key=lambda row: row.id)


def shown_range(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the range of accuracies, in %, that figures show: that of fully trained trials, without outliers below.

    Trials stopped early and outliers would squash the others; they are drawn at the lower end.
    """
    found = sorted(100 * (row.val_accuracy or 0.0) for row in rows if row.state != "stopped")
    found = found or sorted(100 * (row.val_accuracy or 0.0) for row in rows) or [0.0, 100.0]
    low, quarter, half = found[0], found[len(found) // 4], found[len(found) // 2]
    low = max(low, quarter - 3 * max(half - quarter, 0.5))
    pad = max(0.08 * (found[-1] - low), 0.25)
    return max(0.0, low - pad), min(100.0, found[-1] + pad)


def trial_points(study: StudyTable) -> Points:
    """Return the data named "trials": one point for each search trial that reached an epoch.

    `y` is its validation accuracy in %, at least the lower end of the axis; `p0`, `p1` and so on are the searched
    parameters.
    """
    rows, names = searched(study.rows), study.about.space.searched
    low, _ = shown_range(rows)
    likes = alike(row.student for row in study.rows)
    states = {"stopped": "stopped early"}
    points: Points = []
    for row in rows:
        value = 100 * (row.val_accuracy or 0.0)
        points.append(
            {
                "id": row.id,
                "number": row.number,
                "state": "below the axis" if value < low else states.get(row.state, row.state),
                "val": round(value, 4),
                "y": round(max(value, low), 4),
                "epochs": f"{row.epochs} of {row.epochs_planned}",
                "method": method_of(row),
                "student": likes[row.student],
                "sparsity": None if row.teacher_sparsity is None else round(100 * row.teacher_sparsity, 3),
                **{f"p{place}": _shown(v) for place, v in enumerate(searched_values(row, names).values())},
            }
        )
    return points


def _shown(value: Any) -> Any:
    return value if value is None or isinstance(value, str | bool | int | float) else json.dumps(value)


def method_of(row: Row) -> str:
    """Return the pruning method of a trial's teacher, in words."""
    return row.prune_method or ("student alone" if row.teacher_config is None else "unpruned")


def channel(name: str, kind: str = "quantitative", **more: Any) -> Spec:
    """Return the definition of an encoding channel: the field it shows, its type, and more."""
    return {"field": name, "type": kind, **more}


def tips(**titles: str) -> list[Spec]:
    """Return a tooltip of fields without a type, each with its title."""
    return [{"field": name, "title": title} for name, title in titles.items()]


def accuracy_axis(rows: Sequence[Row], title: str = ACCURACY) -> Spec:
    """Return the encoding of validation accuracies on the axis that all figures of the search share."""
    low, high = shown_range(rows)
    scale = {"domain": [round(low, 3), round(high, 3)], "nice": False, "zero": False, "clamp": True}
    return channel("y", title=title, scale=scale)


def dots(x: Spec, y: Spec, colour: Spec, shown: Sequence[str] = _STATES) -> Spec:
    """Return a layer of trials: filled where they were trained whole, hollow where they were stopped early."""
    places = [place for place, state in enumerate(_STATES) if state in shown]
    shapes = {"domain": [_STATES[p] for p in places], "range": [_SHAPES[p] for p in places]}
    whole = {"condition": {"test": "datum.state === 'complete'", "value": 0.75}, "value": 0}
    return {
        "mark": {"type": "point", "size": 45, "strokeWidth": 1.2},
        "encoding": {
            "x": x,
            "y": y,
            "stroke": colour,
            "fill": colour,
            "fillOpacity": whole,
            "shape": channel("state", "nominal", scale=shapes, legend=_states_legend(shown)),
            "tooltip": [
                channel("id", "nominal", title="trial"),
                channel("val", title="validation accuracy, %"),
                channel("method", "nominal", title="method"),
                channel("sparsity", title="sparsity, %"),
                channel("epochs", "nominal", title="epochs"),
                channel("state", "nominal", title="state"),
            ],
        },
    }


def _states_legend(shown: Sequence[str]) -> Spec | None:
    return {"columns": {"expr": "width < 480 ? 2 : 4"}} if len(shown) > 1 else None


def by_name(names: Iterable[str], field: str = "method") -> Spec:
    """Return a colour for each name, in their order from the palette in turn."""
    domain = list(dict.fromkeys(names))
    colours = [_COLOURS[place % len(_COLOURS)] for place in range(len(domain))]
    legend: Spec = {"columns": {"expr": "width < 480 ? 2 : 6"}}
    scale = {"domain": domain, "range": colours}
    return channel(field, "nominal", scale=scale, legend=legend if len(domain) > 1 else None)


def unit(value: float, metric: str) -> float:
    """Return a metric's value as figures show it: accuracies in %."""
    return 100 * value if metric.endswith("accuracy") else value


def axis_title(metric: str) -> str:
    """Return a metric's name with its unit."""
    return {VAL_ACCURACY: ACCURACY, "student.params": "student's weights"}.get(metric, metric)


def scale_of(points: Points, name: str) -> Spec:
    """Return a scale that is logarithmic where positive values span more than a factor of 20."""
    values = [point[name] for point in points if point[name] is not None]
    wide = bool(values) and min(values) > 0 and max(values) > 20 * min(values)
    return {"type": "log", "nice": False} if wide else PADDED


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items: the first half of them, and others spread evenly over the rest."""
    if len(items) <= most:
        return list(items)
    first, rest = items[: most // 2], items[most // 2 :]
    step = len(rest) / (most - len(first))
    return [*first, *(rest[int(place * step)] for place in range(most - len(first)))]
