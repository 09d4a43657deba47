"""The lists of docs/data.md: sources and augmentations, from their registries; run this module to write them."""

import inspect
import re
from pathlib import Path

from pdsearch.cli.verbs.list import describe, names
from pdsearch.data.registry import sources
from tests.docs.tables import filled

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
KINDS = ("sources", "augmentations")


def written(page: str) -> str:
    """The page with both lists as they must be."""
    return filled(page, {kind: _list(kind) for kind in KINDS})


def _list(kind: str) -> str:
    rows = [f"| `data.{'source' if kind == 'sources' else 'augment'}` | What it is | From |", "|---|---|---|"]
    for name in names(kind):
        part = describe(kind, name)
        number = next((p for p in part.parameters), None)
        more = f" {number.name} = {number.default}, from {number.range}: {number.help}." if number else ""
        rows.append(f"| `{name}` | {part.summary}{more}{_options(kind, name)} | {part.source} |")
    return "\n".join(rows)


def _options(kind: str, name: str) -> str:
    """What a source's docstring says of its options, up to the end of the paragraph."""
    text = inspect.cleandoc(type(sources.get(name)).__doc__ or "") if kind == "sources" else ""
    found = re.search(r"\bOptions?: .*?(?=\n\n|\Z)", text, re.S)
    return " " + " ".join(found[0].split()) if found else ""


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
