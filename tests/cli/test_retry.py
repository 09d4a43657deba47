from pathlib import Path

import pytest

from pdsearch.cli.main import main
from tests.faults import scripted_study
from tests.search.test_retry import run_failing


def test_failed_trials_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = run_failing(scripted_study.space(root), "search", 1)
    assert main(["retry", str(root / "study"), "--failed"]) == 0
    assert capsys.readouterr().out == f"{failed[0]} will be tried again\n"
    assert main(["retry", str(root / "study"), "--failed"]) == 0
    assert capsys.readouterr().out == "no trial has failed\n"


def test_which_ones_has_to_be_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retry", str(root)]) == 2
    assert "add --failed" in capsys.readouterr().err
