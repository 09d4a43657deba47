"""`pdsearch show` tells what a study does, what became of a trial, and which studies a storage holds."""

import json
from pathlib import Path

import pytest

from pdsearch.artifacts import hold
from pdsearch.cli.main import main


def test_a_study_at_rest_and_while_it_is_driven(
    study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(study_folder)]) == 0
    assert "none: the same `pdsearch run` goes on with it" in capsys.readouterr().out
    clock = {
        "seconds": 90,
        "phase": {"name": "search", "total": 9, "done": 0, "began_at": "2000-01-01T00:00:00+00:00"},
    }
    (study_folder / "elapsed.json").write_text(json.dumps(clock))
    with hold(study_folder / "driver.lease"):
        assert main(["show", str(study_folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["driver"].startswith("process ")
    assert (found["phase"], found["total"], found["elapsed_s"]) == ("search", 9, 90)
    assert found["done"] == sum(found["states"]["search"].values())


def test_one_trial_by_its_number_and_as_a_space_file(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trial.yaml"
    assert main(["show", str(study_folder), "0", "--config", str(out)]) == 0
    text = capsys.readouterr().out
    assert "search-00000" in text
    assert "in 2 of 2 epochs" in text
    assert "teacher: {model: convnet_l" in out.read_text()
    assert main(["show", str(study_folder), "0", "--config", str(out)]) == 2
    assert main(["show", str(study_folder), "nothing"]) == 2


def test_the_studies_of_a_storage(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(study_folder.parent)]) == 0
    assert str(study_folder) in capsys.readouterr().out
