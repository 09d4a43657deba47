"""How is a front shown? As a table of text, markdown, CSV or JSON: a line for each trial that none beats."""

import csv
import io
import json
from typing import Any

from pdsearch.analysis.forms import Table, markdown
from pdsearch.analysis.pareto import Front
from pdsearch.analysis.row import Row

__all__ = ["front_as_csv", "front_as_json", "front_as_markdown", "front_as_table"]


def front_as_table(found: Front) -> Table:
    """Return a front as cells of text."""
    metrics = [metric for metric, _ in found.objectives]
    columns = ("trial", *(f"{metric} ({goal})" for metric, goal in found.objectives), "parameters")
    numeric = (False, *(True for _ in metrics), False)
    rows = []
    for row in found.rows:
        values = json.loads(row.values)
        rows.append((row.id, *(f"{values[metric]:.6g}" for metric in metrics), row.params))
    left_out = len(found.left_out)
    footer = (f"{left_out} complete trial(s) lack an objective and were left out.",) if left_out else ()
    return Table(f"Trials of {found.study} that none beats", columns, numeric, tuple(rows), footer)


def front_as_markdown(found: Front) -> str:
    """Return a front as a markdown table."""
    return markdown(front_as_table(found))


def front_as_json(found: Front) -> str:
    """Return a front as JSON: values in full, parameters nested."""
    value = {
        "format": 1,
        "study": found.study,
        "objectives": [{"metric": metric, "goal": goal} for metric, goal in found.objectives],
        "rows": [{**_plain(found, row), "params": json.loads(row.params)} for row in found.rows],
        "left_out": [row.id for row in found.left_out],
    }
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def front_as_csv(found: Front) -> str:
    """Return a front as CSV: one line a trial, its parameters as JSON."""
    names = ["trial", "key", *(metric for metric, _ in found.objectives), "params"]
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**_plain(found, row), "params": row.params} for row in found.rows)
    return file.getvalue()


def _plain(found: Front, row: Row) -> dict[str, Any]:
    values = json.loads(row.values)
    return {"trial": row.id, "key": row.key, **{metric: values[metric] for metric, _ in found.objectives}}
