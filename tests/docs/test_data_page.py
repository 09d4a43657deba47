"""The page on data names every source and augmentation, and its examples work."""

import re

import pytest

from pdsearch.data.augmentation_parser import canonical
from pdsearch.data.registry import augmentations, sources
from tests.docs.data_page import KINDS, PAGE, written

TEXT = PAGE.read_text(encoding="utf-8")


def test_its_lists_are_up_to_date() -> None:
    assert written(TEXT) == TEXT, "run: python -m tests.docs.data_page"


def test_every_source_and_augmentation_is_listed_and_says_where_it_is_from() -> None:
    rows = {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \|[^|]+\| ([^|]*) \|$", TEXT, re.MULTILINE)}
    assert {*sources, *augmentations} <= rows.keys()
    assert all(rows[name].strip() for name in [*sources, *augmentations])


def test_both_lists_have_their_marks() -> None:
    assert all(f"<!-- {kind} -->" in TEXT for kind in KINDS)


@pytest.mark.parametrize("line", re.findall(r"^augment: (.+?)(?:  +#.*)?$", TEXT, re.MULTILINE))
def test_the_examples_are_augmentations(line: str) -> None:
    canonical("+".join(part.strip() for part in line.strip("[]").split(",")))
