"""docs/api.md says what the docstrings say."""

import pdsearch
from tests.docs.api_page import FILE, GROUPS, page


def test_the_page_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "run: python -m tests.docs.api_page"


def test_every_public_name_has_a_group() -> None:
    grouped = {name for names in GROUPS.values() for name in names.split()}
    assert {*pdsearch.__all__} - grouped == {"__version__"}
