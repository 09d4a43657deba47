"""`pdsearch report`: write a study, or several side by side, as one page that opens anywhere, or for a paper."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.console import note_left_out, print_lines, print_note
from pdsearch.errors import ConfigError
from pdsearch.io.durable import write_whole

if TYPE_CHECKING:
    from pdsearch.analysis.report import Page


class ReportForm(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MARKDOWN = "markdown"


class Drawing(StrEnum):
    """What figures are written as."""

    SVG = "svg"
    PDF = "pdf"


def report(
    study: StudyFolder,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; STUDY.html or STUDY.md if not given.", show_default=False),
    ] = None,
    form: Annotated[ReportForm, typer.Option("--format", help="How to write it.")] = ReportForm.HTML,
    figures: Annotated[
        Drawing | None,
        typer.Option(help="Also write each figure as a file, for a paper.", show_default=False),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", metavar="STUDY", help="Set another study beside it; may be given several times."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files of the same name.")] = False,
) -> None:
    """Write a study as one page: the verdict, the ranking, why, the search, what it cost, every trial."""
    from pdsearch.analysis.report import build_report, compare
    from pdsearch.analysis.study_table import read_study

    studies = [read_study(folder) for folder in (study, *(beside or ()))]
    name = "_and_".join(found.name for found in studies)
    target = out or Path(f"{name[:100]}.{'html' if form is ReportForm.HTML else 'md'}")
    drawings = target.with_name(f"{target.stem}_figures")
    for path in (target, drawings) if figures else (target,):
        if path.exists() and not force:
            raise ConfigError(
                "is there already", where=str(path), hint="add --force, or name another by --out"
            )
    page = compare(studies) if beside else build_report(studies[0])
    _write(page, target, form, drawings, figures)
    for found in studies:
        note_left_out(found.broken)
    print_lines([str(target), *([str(drawings)] if figures else [])])
    if form is ReportForm.HTML:
        print_note("one file, no network needed: open it in a browser, or send it")


def _write(page: "Page", target: Path, form: ReportForm, drawings: Path, figures: Drawing | None) -> None:
    from pdsearch.analysis.report import as_html, report_as_markdown, write_figures

    drawn = write_figures(page, drawings, figures) if figures else {}
    shown = {name: f"{drawings.name}/{file}" for name, file in drawn.items()}
    text = as_html(page) if form is ReportForm.HTML else report_as_markdown(page, shown)
    write_whole(target, text)
