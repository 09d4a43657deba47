"""Every reference on the verification page exists, and every method and loss is on that page."""

import re

import pytest

from pdsearch.distillation.registry import losses
from pdsearch.pruning.registry import methods
from tests.architecture.tree import ROOT

TEXT = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
FILES = sorted(set(re.findall(r"`(tests/[^`]+)`", TEXT)))
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| What")]


@pytest.mark.parametrize("name", FILES)
def test_the_files_it_names_are_there(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("name", [*methods, *losses])
def test_every_method_and_loss_has_a_row_and_its_test_is_named(name: str) -> None:
    row = next((row for row in ROWS if f"`{name}`" in row.split("|")[1]), None)
    assert row is not None, f"say in docs/verification.md what {name} is checked against"
    files = re.findall(r"`(tests/[^`]+)`", row)
    assert any(re.search(rf"[\"_.]{name}\b", (ROOT / file).read_text(encoding="utf-8")) for file in files)


def test_every_row_names_a_reference_and_a_test() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        _, what, reference, tests, _ = row.split("|")
        assert what.strip()
        assert reference.strip()
        assert "`tests/" in tests
