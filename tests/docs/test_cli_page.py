"""docs/cli.md says what the verbs' signatures say."""

from tests.docs.cli_page import FILE, page


def test_the_page_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "run: python -m tests.docs.cli_page"
