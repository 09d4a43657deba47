"""`pdsearch rank`: rank the teachers of a study. Reads records only, copied ones too."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.console import note_left_out, print_lines, print_table
from pdsearch.errors import ConfigError
from pdsearch.io.durable import write_whole

if TYPE_CHECKING:
    from pdsearch.analysis.pareto import Front
    from pdsearch.analysis.ranked import Ranking
    from pdsearch.analysis.tables import Table


class RankingForm(StrEnum):
    """How a ranking is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def rank(
    study: StudyFolder,
    form: Annotated[RankingForm, typer.Option("--format", help="How to write it.")] = RankingForm.TABLE,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the screen.")] = None,
    rows: Annotated[Path | None, typer.Option(help="Also write all trials to this Parquet file.")] = None,
    detail: Annotated[
        bool,
        typer.Option(
            "--detail",
            help="Show what teachers and students are like, and all columns on a narrow terminal, too.",
        ),
    ] = False,
    front: Annotated[
        bool, typer.Option("--front", help="Show the trials that none beats in all objectives.")
    ] = False,
) -> None:
    """Rank the teachers of a study by what their students achieve."""
    from pdsearch.analysis.forms import as_arrow, write_parquet
    from pdsearch.analysis.pareto import pareto_front
    from pdsearch.analysis.ranking import rank_teachers
    from pdsearch.analysis.study_table import read_study
    from pdsearch.analysis.tables import front_as_table

    if front and detail:
        raise ConfigError("--front shows trials, --detail is of a ranking", hint="leave one of them out")
    found = read_study(study)
    if rows:
        write_parquet(as_arrow(found), rows)
    if form is not RankingForm.TABLE or out:
        note_left_out(found.broken)
        _write(_text(pareto_front(found) if front else rank_teachers(found), form), out)
    elif front:
        _print(front_as_table(pareto_front(found)))
    else:
        print_ranking(rank_teachers(found), detail=detail)


def print_ranking(ranking: "Ranking", *, detail: bool = False) -> None:
    """Print a ranking as a table with its footnotes below, and the front of several objectives.

    Args:
        ranking: What to print.
        detail: Include the columns that describe teachers and students.
    """
    from pdsearch.analysis.tables import front_as_table, tables_by_student

    for table in tables_by_student(ranking, detail=detail):
        _print(table, repeat=2, whole=detail)
    if ranking.front is not None:
        _print(front_as_table(ranking.front))


def _text(shown: "Ranking | Front", form: RankingForm) -> str:
    from pdsearch.analysis import forms
    from pdsearch.analysis.pareto import Front

    # A table in a file is markdown: drawn lines would depend on the width of a terminal.
    if isinstance(shown, Front):
        fronts = {RankingForm.JSON: forms.front_as_json, RankingForm.CSV: forms.front_as_csv}
        return fronts.get(form, forms.front_as_markdown)(shown)
    return {RankingForm.JSON: forms.as_json, RankingForm.CSV: forms.as_csv}.get(form, forms.as_markdown)(
        shown
    )


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    write_whole(out, text)


def _print(table: "Table", *, repeat: int = 0, whole: bool = True) -> None:
    left_out = print_table(
        table.columns, table.rows, title=table.title, numeric=table.numeric, repeat=repeat, whole=whole
    )
    if left_out:
        print_lines([f"Too narrow here for: {'; '.join(left_out)}. `pdsearch rank --detail` shows all."])
    print_lines(table.footer)
