"""The pages written from the registries are up to date."""

import pytest

from pdsearch.cli.catalogue import describe, names
from tests.docs.pages import DOCS, PAGES, TRAITS, part_page, stale

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
