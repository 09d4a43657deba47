"""The style that all figures of a report share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pdsearch.analysis.study_table import Row
from pdsearch.objectives import counts

__all__ = ["COLOURS", "GREY", "STATES", "coloured", "drawn", "points", "searched"]

# Okabe and Ito's palette, which colour-blind readers can distinguish too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
GREY = "#8c8c8c"
STATES = ("complete", "stopped", "infeasible")
"""States of trials that reached an epoch."""

_LAYOUT = {"template": "plotly_white", "margin": {"l": 60, "r": 20, "t": 20, "b": 50}, "height": 420}


def drawn(traces: Iterable[Any], x: str, y: str, **more: Any) -> go.Figure:
    """Return a figure in the report's style, with titles on its axes.

    Args:
        traces: Plotly traces.
        x: Title of the horizontal axis.
        y: Title of the vertical axis.
        more: Further settings of Plotly's layout.
    """
    figure = go.Figure(list(traces))
    figure.update_layout(**{**_LAYOUT, **more})
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y, automargin=True)
    return figure


def searched(rows: Sequence[Row]) -> list[Row]:
    """Return the search trials that reached an epoch, by id."""
    ended = [row for row in rows if row.kind == "search" and counts(row.state)]
    return sorted((row for row in ended if row.val_accuracy is not None), key=lambda row: row.id)


def coloured(groups: Mapping[str, list[Row]]) -> Iterable[tuple[str, tuple[str, list[Row]]]]:
    """Yield every group with its own colour, in the groups' order."""
    return ((COLOURS[place % len(COLOURS)], item) for place, item in enumerate(sorted(groups.items())))


def points(name: str, rows: Sequence[Row], x: Sequence[Any] | None, colour: str) -> go.Scatter:
    """Plot trials as dots: hollow if stopped early, after fewer epochs; as crosses if infeasible."""
    return go.Scatter(
        x=[row.number for row in rows] if x is None else list(x),
        y=[100 * (row.val_accuracy or 0.0) for row in rows],
        mode="markers",
        name=name,
        marker={"color": colour, "size": 8, "symbol": [_symbol(row) for row in rows]},
        text=[f"{row.id}<br>{row.epochs} of {row.epochs_planned} epochs" for row in rows],
        hovertemplate="%{text}<br>%{x}<br>%{y:.2f} %<extra></extra>",
    )


def _symbol(row: Row) -> str:
    return {"complete": "circle", "infeasible": "x"}.get(row.state, "circle-open")
