"""Do the pages written from the registries say what the registries say?"""

import pytest

from tests.docs.pages import DOCS, PAGES


@pytest.mark.parametrize("file", PAGES)
def test_the_page_is_up_to_date(file: str) -> None:
    assert (DOCS / file).read_text(encoding="utf-8") == PAGES[file](), "run: python -m tests.docs.pages"


def test_every_part_says_what_it_is_and_where_it_is_from() -> None:
    for page in PAGES.values():
        for section in page().split("\n## ")[1:]:
            name, _, text = section.partition("\n\n")
            assert text.strip(), name
            assert "Source: " in text, name
            assert not text.rstrip().endswith("Source:"), name
