"""A report as Markdown, and its figures as files for a paper."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pdsearch.analysis.figures import drawn
from pdsearch.analysis.report.content import Block, Code, Notes, Page, Text, Trials
from pdsearch.analysis.tables import Table, escaped, markdown_lines
from pdsearch.io.durable import storage_errors


def report_as_markdown(page: Page, figures: Mapping[str, str]) -> str:
    """Return a report as Markdown.

    Args:
        page: The report.
        figures: Name of a figure -> where its file lies, seen from the Markdown file; others are left out.
    """
    lines = [f"# {escaped(page.study)}: {escaped(page.headline.text)}", ""]
    if page.headline.figure:
        lines += [f"**{page.headline.figure}** {escaped(page.headline.interval)}", ""]
    for text in (page.headline.sentence, *page.headline.others, page.about):
        lines += [escaped(text), ""]
    for section in page.sections:
        lines += [f"## {escaped(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block, figures), ""]
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block, figures: Mapping[str, str]) -> Iterator[str]:
    if isinstance(block, Text):
        yield escaped(block.text)
    elif isinstance(block, Notes):
        yield from (f"- {escaped(line)}" for line in block.lines)
    elif isinstance(block, Code):
        yield from ("```", *block.text.splitlines(), "```")
    elif isinstance(block, Table | Trials):
        table = block if isinstance(block, Table) else block.table
        yield from ((f"**{escaped(table.title)}**", "") if table.title else ())
        yield from markdown_lines(table)
    elif block.name in figures:
        yield f"![{escaped(block.title)}]({figures[block.name]})"
        yield ""
        yield f"*{escaped(block.title)}.* {escaped(block.caption)}"


def write_figures(page: Page, folder: Path, form: str) -> dict[str, str]:
    """Write each figure as a file of its own.

    Args:
        page: The report.
        folder: Where they go; it is made if necessary.
        form: "svg" or "pdf".

    Returns:
        The file's name for each figure's name.

    Raises:
        StorageError: They cannot be written.
    """
    written = {}
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for figure in page.figures:
            file = folder / f"{figure.name}.{form}"
            file.write_bytes(drawn(figure, page.points, form))
            written[figure.name] = file.name
    return written
