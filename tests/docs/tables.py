"""Tables of a page that are written from the code, each between its marks."""

import re
from collections.abc import Mapping


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with each table as it must be, between `<!-- NAME -->` and `<!-- end -->`."""
    for name, text in tables.items():
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        assert mark, f"the page has no mark of {name}"
        page = f"{before}{mark}{text}\n{re.split('(?=<!-- end -->)', rest, maxsplit=1)[1]}"
    return page
