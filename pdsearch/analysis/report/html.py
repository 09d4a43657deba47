"""A report as one self-contained HTML page, which needs no network."""

import json
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from pdsearch.analysis.figures import LIGHT, Figure, compiled, library
from pdsearch.analysis.report.content import Block, Code, Notes, Page, ReportSection, Text, Trials
from pdsearch.analysis.tables import Table

DARK = {
    "ink": "#e8e8e8",
    "soft": "#a8a8a8",
    "line": "#3a3d42",
    "c0": "#56b4e9",
    "c1": "#ff8c42",
    "c2": "#3ecfa0",
    "c3": "#e59ac4",
    "c4": "#f0d84a",
    "c5": "#9bb8ff",
    "c6": "#a3a3a3",
}
"""The colours of `LIGHT` in the dark theme."""


def as_html(page: Page) -> str:
    """Return a report as one HTML page."""
    figures = {figure.name: compiled(figure) for figure in page.figures}
    body = "\n".join(line for part in (_head(page), *map(_section, page.sections)) for line in part)
    name = escape(page.study)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: {escape(page.headline.text)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#content">Skip to the results</a>\n{_bar(page)}\n'
        f'<main id="content">\n{body}\n</main>\n'
        f"{_data('points', page.points)}\n{_data('figures', figures)}\n"
        f"<script>{_script(library()) if figures else ''}</script>\n"
        f"<script>{_script(_file('page.js'))}</script>\n</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _style() -> str:
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in theme.items()) for theme in (LIGHT, DARK)
    )
    return _file("page.css").replace("/*LIGHT*/", light).replace("/*DARK*/", dark)


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _data(name: str, value: object) -> str:
    # In a script's text only "<" could end it, or begin a comment.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _bar(page: Page) -> str:
    links = "".join(f'<a href="#{part.name}">{escape(part.name.capitalize())}</a>' for part in page.sections)
    return (
        f'<header class="bar"><span class="study">{escape(page.study)}</span><nav aria-label="Sections">{links}</nav>'
        '<button id="theme" type="button" title="Light, dark, or as the system is">Theme: system</button></header>'
    )


def _head(page: Page) -> Iterator[str]:
    found = page.headline
    yield f'<section class="verdict{" good" if found.good else ""}" aria-labelledby="verdict">'
    yield f'<h1 id="verdict">{escape(found.text)}</h1>'
    if found.figure:
        yield f'<p class="figure"><b>{escape(found.figure)}</b> {escape(found.interval)}</p>'
    yield f"<p>{escape(found.sentence)}</p>"
    yield from (f"<p>{escape(line)}</p>" for line in found.others)
    yield f'<p class="note">{escape(page.about)}</p></section>'


def _section(section: ReportSection) -> Iterator[str]:
    yield f'<section id="{section.name}" aria-labelledby="{section.name}-title">'
    yield f'<h2 id="{section.name}-title">{escape(section.title)}</h2>'
    small = [block for block in section.blocks if isinstance(block, Figure) and block.small]
    for block in section.blocks:
        if block not in small:
            yield from _block(block)
    if small:
        yield '<div class="slices">'
        for block in small:
            yield from _figure(block)
        yield "</div>"
    yield "</section>"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Text):
        yield f"<p>{escape(block.text)}</p>"
    elif isinstance(block, Notes):
        yield '<ul class="note">' + "".join(f"<li>{escape(line)}</li>" for line in block.lines) + "</ul>"
    elif isinstance(block, Code):
        yield f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>'
    elif isinstance(block, Figure):
        yield from _figure(block)
    elif isinstance(block, Trials):
        yield _FILTERS
        yield from _table(block.table, 'id="all-trials"', "Every trial, sortable")
    else:
        yield from _table(block, "", block.title)


_FILTERS = (
    '<p class="filters"><label>Filter <input id="filter" type="search" placeholder="e.g. magnitude stopped"></label> '
    '<span id="count" role="status"></span></p>'
)


def _table(table: Table, attributes: str, label: str) -> Iterator[str]:
    kinds = [' class="n"' if numeric else "" for numeric in table.numeric]
    named = escape(label or "Table", quote=True)
    yield f'<div class="wide" role="region" tabindex="0" aria-label="{named}"><table {attributes}>'
    if table.title:
        yield f"<caption>{escape(table.title)}</caption>"
    if any(table.columns):
        heads = zip(kinds, table.columns, strict=True)
        yield "<thead><tr>" + "".join(f'<th scope="col"{k}>{_breakable(name)}</th>' for k, name in heads)
        yield "</tr></thead>"
    yield "<tbody>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td{k}>{escape(c)}</td>" for k, c in zip(kinds, row, strict=True)) + "</tr>"
    yield "</tbody></table></div>"


def _breakable(name: str) -> str:
    """Return a heading that may be broken after the dots of a parameter's name."""
    return escape(name).replace(".", ".<wbr>")


def _figure(figure: Figure) -> Iterator[str]:
    yield f'<figure id="figure-{figure.name}"><h3>{escape(figure.title)}</h3>'
    yield f'<div class="plot" data-figure="{figure.name}"></div>'
    if figure.caption:
        yield f"<figcaption>{escape(figure.caption)}</figcaption>"
    yield "</figure>"
