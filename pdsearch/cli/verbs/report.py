"""`pdsearch report`: write a study as one page that opens anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.console import note, note_left_out, print_lines
from pdsearch.io.durable import storage_errors

__all__ = ["report"]


def report(
    study: StudyFolder,
    out: Annotated[Path, typer.Option(help="The file to write; an older one is replaced.")] = Path(
        "report.html"
    ),
) -> None:
    """Write a study as one page: ranking with intervals, the search, what mattered, what it cost."""
    from pdsearch.analysis import read_study
    from pdsearch.analysis.report import as_html  # loads plotly

    found = read_study(study)
    text = as_html(found)
    draft = out.with_name(f".{out.name}.tmp")
    with storage_errors(out):
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
    note_left_out(found.broken)
    print_lines([str(out)])
    note("one file, no network needed: open it in a browser, or send it")
