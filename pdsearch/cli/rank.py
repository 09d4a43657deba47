"""`pdsearch rank`: which teachers did the students learn best from? Reads records only, copied ones too."""

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsearch.cli.console import print_lines, print_table
from pdsearch.durable import storage_errors

if TYPE_CHECKING:
    from pdsearch.analysis import Front, Ranking

__all__ = ["Form", "rank"]


class Form(StrEnum):
    """How a ranking is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def rank(
    study: Annotated[
        str, typer.Argument(help="The folder of a study, a copy, or its URL.", show_default=False)
    ],
    form: Annotated[Form, typer.Option("--format", help="How to write the ranking.")] = Form.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the screen.")] = None,
    rows: Annotated[Path | None, typer.Option(help="Also write all trials to this Parquet file.")] = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="Show what teachers and students are like.")
    ] = False,
    front: Annotated[
        bool, typer.Option("--front", help="Show the trials that none beats in all objectives.")
    ] = False,
) -> None:
    """Rank the teachers of a study by what their students achieve."""
    from pdsearch.analysis import pareto_front, rank_teachers, read_study, write_parquet

    found = read_study(study)
    if rows:
        write_parquet(found.rows, rows)
    if front:
        _print_front(pareto_front(found))
        return
    ranking = rank_teachers(found)
    if form is Form.TABLE and out is None:
        print_ranking(ranking, detail=detail)
    else:
        _write(_text(form)(ranking), out)


def print_ranking(ranking: "Ranking", *, detail: bool = False) -> None:
    """Print a ranking as a table with what a reader must know below it.

    Args:
        ranking: What to print.
        detail: With the columns that say what teachers and students are like.
    """
    from pdsearch.analysis import as_table

    table = as_table(ranking, detail=detail)
    print_table(table.columns, table.rows, title=table.title, numeric=table.numeric, keep=4)
    print_lines(table.footer)


def _text(form: Form) -> Callable[["Ranking"], str]:
    from pdsearch.analysis import as_csv, as_json, as_markdown

    # A table in a file is markdown: drawn lines would depend on the width of some screen.
    return {Form.JSON: as_json, Form.CSV: as_csv}.get(form, as_markdown)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    with storage_errors(out):
        out.write_text(text, encoding="utf-8")


def _print_front(front: "Front") -> None:
    metrics = [metric for metric, _ in front.objectives]
    columns = ("trial", *(f"{metric} ({goal})" for metric, goal in front.objectives), "parameters")
    rows = []
    for row in front.rows:
        values = json.loads(row.values)
        rows.append((row.id, *(f"{values[metric]:.6g}" for metric in metrics), row.params))
    print_table(columns, rows)
    if front.left_out:
        print_lines([f"{len(front.left_out)} complete trial(s) lack an objective and were left out."])
