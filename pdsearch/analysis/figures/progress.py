"""Figures of a search's progress: trials by number, by sparsity, by parameter."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from pdsearch.analysis.figures.style import COLOURS, GREY, STATES, coloured, drawn, points, searched
from pdsearch.analysis.study_table import Row

__all__ = ["by_parameter", "by_sparsity", "history"]


def history(rows: Sequence[Row]) -> go.Figure | None:
    """Plot every trial by its number, and the best complete one so far."""
    found = sorted((row for row in searched(rows) if row.number is not None), key=lambda row: row.number or 0)
    if not found:
        return None
    best, so_far = 0.0, []
    for row in found:
        if row.state == "complete":
            best = max(best, row.val_accuracy or 0.0)
        so_far.append(100 * best if best else None)
    numbers = [row.number for row in found]
    line = go.Scatter(
        x=numbers, y=so_far, mode="lines", line={"color": GREY, "shape": "hv"}, name="best so far"
    )
    dots = (
        points(state, [row for row in found if row.state == state], None, colour)
        for colour, state in zip(COLOURS, STATES, strict=False)
        if any(row.state == state for row in found)
    )
    whole = {"tickformat": "d"}
    return drawn([line, *dots], "trial", "validation accuracy of the student, %", xaxis=whole)


def by_sparsity(rows: Sequence[Row]) -> go.Figure | None:
    """Plot students' validation accuracy against their teacher's achieved sparsity, by pruning method."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in searched(rows):
        if row.teacher_config is not None:
            groups[row.prune_method or "unpruned"].append(row)
    if len({row.teacher_sparsity for found in groups.values() for row in found}) < 2:
        return None
    traces = (
        points(name, found, [100 * (row.teacher_sparsity or 0.0) for row in found], colour)
        for colour, (name, found) in coloured(groups)
    )
    return drawn(traces, "sparsity of the teacher, %", "validation accuracy of the student, %")


def by_parameter(rows: Sequence[Row]) -> list[tuple[str, go.Figure]]:
    """Plot validation accuracy against each searched parameter that varied; (name, figure) by name."""
    values: dict[str, list[tuple[Row, Any]]] = defaultdict(list)
    for row in searched(rows):
        for name, value in json.loads(row.params).items():
            values[name].append((row, value))
    figures = []
    for name, found in sorted(values.items()):
        if len({json.dumps(value) for _, value in found}) > 1:
            figures.append((name, _slice(name, found)))
    return figures


def _slice(name: str, found: Sequence[tuple[Row, Any]]) -> go.Figure:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for _, value in found)
    shown = [(row, value if numeric else _text(value)) for row, value in found]
    traces = (
        points(state, [row for row, _ in part], [value for _, value in part], colour)
        for colour, state in zip(COLOURS, STATES, strict=False)
        if (part := [item for item in shown if item[0].state == state])
    )
    return drawn(traces, name, "validation accuracy, %", height=320)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
