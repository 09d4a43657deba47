"""Pages that are written from the code are up to date, and README's picture shows the present table."""

import re
from html import unescape
from pathlib import Path
from types import ModuleType

import pytest

import pdsearch
from pdsearch.cli.verbs.list import describe, names
from pdsearch.data.augmentation_parser import canonical
from pdsearch.data.registry import augmentations, sources
from tests.analysis.synthetic_studies import confirmed, write_study
from tests.docs import api_page, cli_page, data_page, licences_page
from tests.docs.pages import DOCS, PAGES, TRAITS, part_page, stale
from tests.docs.picture import PICTURE, drawn

DATA = data_page.PAGE.read_text(encoding="utf-8")
PARTS = [(kind, name) for kind in TRAITS for name in names(kind)]


@pytest.mark.parametrize("file", PAGES)
def test_the_page_is_up_to_date(file: str) -> None:
    assert (DOCS / file).read_text(encoding="utf-8") == PAGES[file](), "run: python -m tests.docs.pages"


@pytest.mark.parametrize("module", [api_page, cli_page])
def test_the_page_of_signatures_is_up_to_date(module: ModuleType) -> None:
    assert module.FILE.read_text(encoding="utf-8") == module.page(), f"run: python -m {module.__name__}"


def test_every_public_name_has_a_group() -> None:
    grouped = {name for names in api_page.GROUPS.values() for name in names.split()}
    assert {*pdsearch.__all__} - grouped == {"__version__"}


def test_every_direct_dependency_is_listed_with_its_licence() -> None:
    listed = licences_page.PAGE.read_text(encoding="utf-8")
    direct = [name for name, by in licences_page.needed().items() if by == "pdsearch"]
    assert len(direct) > 15
    assert not [name for name in direct if f"| {name} | " not in listed]


def test_the_lists_of_data_are_up_to_date() -> None:
    assert data_page.written(DATA) == DATA, "run: python -m tests.docs.data_page"


def test_every_source_and_augmentation_is_listed_and_says_where_it_is_from() -> None:
    rows = {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \|[^|]+\| ([^|]*) \|$", DATA, re.MULTILINE)}
    assert {*sources, *augmentations} <= rows.keys()
    assert all(rows[name].strip() for name in [*sources, *augmentations])


@pytest.mark.parametrize("line", re.findall(r"^augment: (.+?)(?:  +#.*)?$", DATA, re.MULTILINE))
def test_the_examples_are_augmentations(line: str) -> None:
    canonical("+".join(part.strip() for part in line.strip("[]").split(",")))


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


def test_the_picture_of_a_terminal_has_the_columns_of_today(tmp_path: Path) -> None:
    write_study(tmp_path / "made-up", [*confirmed(None, [0.8, 0.9]), *confirmed("magnitude", [0.9, 0.9])])
    shown = head(PICTURE.read_text(encoding="utf-8"))
    today = head(drawn(str(tmp_path / "made-up"), columns=400))
    assert {"rank", "teacher"} < shown <= today, "run: python -m tests.docs.picture runs/digits"


def head(svg: str) -> set[str]:
    """Return the bold words of a picture but its title: the columns' names."""
    bold = re.findall(r"\.(terminal-\d+-r\d+) \{[^}]*bold", svg)
    words = re.findall(r'<text class="(\S+)"[^>]*>([^<]*)</text>', svg)
    return {unescape(text).strip() for name, text in words if name in bold and "Teachers" not in text}
