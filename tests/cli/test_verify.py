import json
from pathlib import Path

import pytest

from pdsearch.cli.main import main
from tests.faults import scripted_study


@pytest.fixture
def study(root: Path) -> Path:
    scripted_study.run(scripted_study.space(root, trials=2))
    return root / "study"


def test_a_whole_study_is_said_to_be_whole(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(study), "--deep"]) == 0
    assert capsys.readouterr().out == "all is as it must be\n"


def test_what_is_broken_is_named_and_the_exit_code_is_1(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "journal.log").unlink()
    assert main(["verify", str(study)]) == 1
    said = capsys.readouterr()
    assert "ledger: search-00000: has a record and is not in the study" in said.out
    assert "mended by the next `pdsearch run`" in said.err


def test_programs_read_json(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(study), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    torn = study / "trials" / "search-00000.finished.json"
    torn.write_text("{")
    assert main(["verify", str(study), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {item["rule"] for item in found} >= {"records", "ledger"}


def test_a_folder_that_is_no_study_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "there is no study here" in capsys.readouterr().err
