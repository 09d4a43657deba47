"""Figures of a study's results: students by teacher, parameter importances, the Pareto front."""

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pdsearch.analysis.figures.style import COLOURS, GREY, drawn
from pdsearch.analysis.importance import Importances
from pdsearch.analysis.pareto import Front
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.study_table import Row

__all__ = ["front_figure", "importance_figure", "intervals"]


def intervals(ranking: Ranking, rows: Sequence[Row]) -> go.Figure | None:
    """Plot the confirmed lines: each student as a dot, the mean with its 95 % interval; validation beside test.

    Args:
        ranking: The study's ranking.
        rows: The study's rows, for the single students.
    """
    lines = [row for row in ranking.rows if row.confirmed]
    if not lines:
        return None
    traces: list[Any] = []
    for name, colour, metric, estimate in (
        ("validation", COLOURS[0], "val_accuracy", "val"),
        ("test", COLOURS[1], "test_accuracy", "test"),
    ):
        students = [(line.label, 100 * value) for line in lines for value in _students(line, rows, metric)]
        traces.append(
            go.Scatter(
                x=[value for _, value in students],
                y=[label for label, _ in students],
                mode="markers",
                marker={"color": colour, "opacity": 0.35, "size": 7},
                showlegend=False,
                hoverinfo="x+y",
            )
        )
        means = [(line.label, getattr(line, estimate)) for line in lines if getattr(line, estimate)]
        traces.append(
            go.Scatter(
                x=[100 * found.mean for _, found in means],
                y=[label for label, _ in means],
                mode="markers",
                name=f"{name}: mean, 95 % interval",
                marker={"color": colour, "size": 10, "symbol": "diamond"},
                error_x={"type": "data", "array": [100 * (found.half_width or 0) for _, found in means]},
            )
        )
    return drawn(
        traces,
        "accuracy of the students, %",
        "",
        height=140 + 46 * len(lines),
        yaxis={"autorange": "reversed"},
        legend={"orientation": "h", "y": 1.12},
    )


def _students(line: Ranked, rows: Sequence[Row], metric: str) -> list[float]:
    same = (row for row in rows if row.kind == "confirm" and row.setting == line.best.setting)
    found = [getattr(row, metric) for row in same if row.state == "complete"]
    return [value for value in found if value is not None]


def importance_figure(importances: Importances) -> go.Figure | None:
    """Plot the importances of the parameters as shares."""
    if not importances.found:
        return None
    found = importances.found
    bars = go.Bar(
        x=[100 * item.share for item in found],
        y=[item.parameter for item in found],
        orientation="h",
        marker={"color": COLOURS[0]},
    )
    return drawn([bars], "share, %", "", height=120 + 34 * len(found), yaxis={"autorange": "reversed"})


def front_figure(front: Front, rows: Sequence[Row]) -> go.Figure:
    """Plot complete trials over the first two objectives, with the front as a line."""
    (x, _), (y, _) = front.objectives[1], front.objectives[0]
    points = [
        (row, json.loads(row.values)) for row in rows if row.kind == "search" and row.state == "complete"
    ]
    known = [(row, values) for row, values in points if x in values and y in values]
    best = sorted((json.loads(row.values)[x], json.loads(row.values)[y]) for row in front.rows)
    traces = (
        go.Scatter(
            x=[values[x] for _, values in known],
            y=[values[y] for _, values in known],
            mode="markers",
            name="complete trials",
            marker={"color": GREY, "opacity": 0.5},
            text=[row.id for row, _ in known],
            hoverinfo="x+y+text",
        ),
        go.Scatter(
            x=[a for a, _ in best],
            y=[b for _, b in best],
            mode="lines+markers",
            name="beaten by none",
            line={"color": COLOURS[1], "dash": "dot"},
            marker={"color": COLOURS[1], "size": 9},
        ),
    )
    return drawn(traces, x, y)
