"""The page of the published search shows what the records that are published with it rank."""

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pdsearch.cli import main as program

RESULTS = Path(__file__).parents[2] / "docs" / "results"
SAFELY: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.4 has it first.


def test_its_table_is_that_of_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.unpack_archive(RESULTS / "cifar10_search.tar.gz", tmp_path, **SAFELY)
    monkeypatch.chdir(tmp_path)
    assert program.main(["rank", "cifar10-search", "--format", "markdown"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    page = (RESULTS / "cifar10_search.md").read_text(encoding="utf-8")
    assert len(rows) > 10
    assert [row for row in rows if row not in page] == []
