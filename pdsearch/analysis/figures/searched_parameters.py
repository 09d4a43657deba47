"""Figures of a search's parameters: their importances, all at once as parallel coordinates, and one by one."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pdsearch.analysis.figures.style import (
    PADDED,
    Figure,
    Points,
    accuracy_axis,
    by_name,
    channel,
    dots,
    evenly,
    searched,
    shown_range,
    tips,
    trial_points,
)
from pdsearch.analysis.importance import Importances
from pdsearch.analysis.study_table import Row, StudyTable, searched_values
from pdsearch.records.study_record import SearchedParameter

_MOST_LINES = 200
_CLASSES = {
    "best tenth": ("var(--c1)", 0.9),
    "upper half": ("var(--c0)", 0.45),
    "lower half": ("var(--c6)", 0.25),
}
"""Class of a trial by its rank among the fully trained ones -> colour and opacity of its line."""


def parameter_figures(study: StudyTable, found: Importances) -> Iterator[Figure]:
    """Yield the figures of a study's parameters that it has data for."""
    rows, points = searched(study.rows), trial_points(study)
    if found.found:
        yield _importance(found)
    yield from _parallel(study, rows)
    yield from _slices(study, rows, points, sorted({point["state"] for point in points}))


def _importance(found: Importances) -> Figure:
    values = [{"parameter": item.parameter, "share": 100 * item.share} for item in found.found]
    axis = {"labelLimit": 200, "labelColor": "var(--ink)"}
    y = channel("parameter", "nominal", sort=None, title=None, axis=axis)
    spec = {
        "data": {"values": values},
        "height": {"step": 30},
        "mark": {"type": "bar", "color": "var(--c0)"},
        "encoding": {"x": channel("share", title="share, %"), "y": y},
    }
    caption = (
        f"From {found.trials} complete search trials: what shuffling a parameter takes from a random forest's fit to "
        f"trials it has not seen (R² {found.r2 or 0.0:.2f}). It tells what mattered among those trials, and no cause."
    )
    return Figure("importance", "parameters", "Importance of the parameters", caption, spec)


def _parallel(study: StudyTable, rows: Sequence[Row]) -> Iterator[Figure]:
    whole = sorted(
        (row for row in rows if row.state == "complete"), key=lambda row: -(row.val_accuracy or 0.0)
    )
    searched_for = study.about.space.searched
    values = {row.id: searched_values(row, searched_for) for row in whole}
    names = [name for name in searched_for if len({repr(found[name]) for found in values.values()}) > 1]
    if len(whole) < 2 or not names:
        return
    places = {
        name: _Places.of([found[name] for found in values.values()], searched_for[name]) for name in names
    }
    low, high = shown_range(rows)
    outcome = "student %"
    lines: Points = []
    ranks = {row.id: place for place, row in enumerate(whole)}
    for row in reversed(evenly(whole, _MOST_LINES)):
        share = ranks[row.id] / len(whole)
        kind = "best tenth" if share < 0.1 else "upper half" if share < 0.5 else "lower half"
        height = (100 * (row.val_accuracy or 0.0) - low) / (high - low)
        heights = {name: places[name].of_value(values[row.id][name]) for name in names}
        for name, y in {**heights, outcome: max(0.0, height)}.items():
            lines.append({"id": row.id, "axis": name, "y": round(y, 4), "class": kind})
    ticks: Points = [
        {"axis": name, "y": y, "text": text} for name in names for text, y in places[name].ticks()
    ]
    ticks += [{"axis": outcome, "y": y, "text": f"{low + y * (high - low):.1f}"} for y in (0.0, 0.5, 1.0)]
    yield _parallel_figure(lines, ticks, [*names, outcome], len(whole))


def _parallel_axes(order: Sequence[str]) -> dict[str, Any]:
    """Return the encoding that gives each parameter an upright axis of its own."""
    axis = {
        "title": None,
        "labelExpr": "split(datum.label, '.')",
        "labelAngle": 0,
        "grid": True,
        "gridColor": "var(--soft)",
        "domain": False,
        "ticks": False,
        "labelColor": "var(--ink)",
        "labelOverlap": False,
    }
    return channel("axis", "nominal", sort=list(order), scale={"type": "point", "padding": 0.4}, axis=axis)


def _parallel_figure(lines: Points, ticks: Points, order: Sequence[str], trials: int) -> Figure:
    x = _parallel_axes(order)
    y = channel("y", axis=None, scale={"domain": [-0.03, 1.03], "nice": False})
    classes = list(_CLASSES)
    colour = {"domain": classes, "range": [_CLASSES[name][0] for name in classes]}
    faint = [{"test": f"datum.class === '{name}'", "value": _CLASSES[name][1]} for name in classes]
    line = {
        "data": {"values": lines},
        "mark": {"type": "line", "strokeWidth": 1.3},
        "encoding": {
            "x": x,
            "y": y,
            "detail": {"field": "id"},
            "color": channel("class", "nominal", scale=colour),
            "opacity": {"condition": faint, "value": 1},
            "tooltip": tips(id="trial"),
        },
    }
    text = {
        "data": {"values": ticks},
        "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11, "fill": "var(--ink)"},
        "encoding": {"x": x, "y": y, "text": {"field": "text"}},
    }
    shown = len({line["id"] for line in lines})
    which = f"{shown} of {trials}" if shown < trials else f"All {trials}"
    best = ", the best among them" if shown < trials else ""
    caption = f"{which} fully trained trials{best}: a line a trial, coloured by its rank."
    return Figure("parallel", "parameters", "All parameters at once", caption, {"layer": [line, text]})


@dataclass(frozen=True)
class _Places:
    """Where the values of a parameter lie on its axis, from 0 to 1."""

    texts: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    @classmethod
    def of(cls, values: Sequence[Any], parameter: SearchedParameter) -> "_Places":
        known = [value for value in values if value is not None]
        if (
            any(isinstance(value, bool) or not isinstance(value, int | float) for value in known)
            or len(set(known)) < 2
        ):
            return cls(tuple(sorted({_text(value) for value in values})))
        log = parameter.log and min(known) > 0
        return cls((), float(min(known)), float(max(known)), log)

    def of_value(self, value: Any) -> float:
        if self.texts:
            return self.texts.index(_text(value)) / max(1, len(self.texts) - 1)
        if value is None:
            return -0.03  # It does not count in this trial: below all values.
        low, high, found = (self._scaled(number) for number in (self.low, self.high, value))
        return (found - low) / (high - low)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value

    def ticks(self) -> list[tuple[str, float]]:
        if self.texts:
            return [(text, self.of_value(text)) for text in self.texts]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return [(f"{value:.3g}", self.of_value(value)) for value in (self.low, middle, self.high)]


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _slices(
    study: StudyTable, rows: Sequence[Row], points: Points, states: Sequence[str]
) -> Iterator[Figure]:
    y = accuracy_axis(rows, "validation accuracy, %")
    colour = {**by_name(sorted(point["method"] for point in points)), "legend": None}
    for place, (name, parameter) in enumerate(study.about.space.searched.items()):
        field = f"p{place}"
        values = [point[field] for point in points if point[field] is not None]
        if len({repr(value) for value in values}) < 2:
            continue
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        x = channel(field, "nominal", title=None, axis={"labelAngle": -30})
        if numeric:
            log = parameter.log and min(values) > 0
            x = channel(field, title=None, scale={"type": "log", "nice": False} if log else PADDED)
        layer = dots(x, y, colour, states)
        layer["encoding"]["shape"]["legend"] = None
        spec = {"data": {"name": "trials"}, "layer": [layer]}
        yield Figure(f"parameter-{place}", "parameters", name, "", spec, small=True)
