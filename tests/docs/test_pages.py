"""The pages written from the registries are up to date, and README's picture shows the present table."""

import re
from html import unescape
from pathlib import Path

import pytest

from pdsearch.cli.catalogue import describe, names
from tests.analysis.synthetic_studies import confirmed, write_study
from tests.docs.pages import DOCS, PAGES, TRAITS, part_page, stale
from tests.docs.picture import PICTURE, drawn

PARTS = [(kind, name) for kind in TRAITS for name in names(kind)]


@pytest.mark.parametrize("file", PAGES)
def test_the_page_is_up_to_date(file: str) -> None:
    assert (DOCS / file).read_text(encoding="utf-8") == PAGES[file](), "run: python -m tests.docs.pages"


def test_no_page_is_of_a_part_that_is_gone() -> None:
    assert stale() == []


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_says_what_it_is_when_to_use_it_what_it_costs_and_where_it_is_from(
    kind: str, name: str
) -> None:
    part = describe(kind, name)
    for text in (part.summary, part.when, part.cost, part.source):
        assert text.endswith((".", "?", '"')), text
        assert text in part_page(kind, name)
    formula = f"{part.summary} {part.details}"
    assert any(sign in formula for sign in ("=", "|", "^", "*", "Cross-entropy", "uniform", "keeps", "+")), (
        formula
    )


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_the_index_leads_to_every_part(kind: str, name: str) -> None:
    assert f"]({kind}/{name}.md)" in PAGES[f"{kind}.md"]()


def test_the_picture_of_a_terminal_has_the_columns_of_today(tmp_path: Path) -> None:
    write_study(tmp_path / "made-up", [*confirmed(None, [0.8, 0.9]), *confirmed("magnitude", [0.9, 0.9])])
    shown = head(PICTURE.read_text(encoding="utf-8"))
    assert head(drawn(str(tmp_path / "made-up"))) == shown, "run: python -m tests.docs.picture runs/digits"


def head(svg: str) -> set[str]:
    """Return the bold words of a picture but its title: the columns' names."""
    bold = re.findall(r"\.(terminal-\d+-r\d+) \{[^}]*bold", svg)
    words = re.findall(r'<text class="(\S+)"[^>]*>([^<]*)</text>', svg)
    return {unescape(text).strip() for name, text in words if name in bold and "Teachers" not in text}
