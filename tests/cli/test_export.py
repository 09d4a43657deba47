from pathlib import Path

import pytest

from pdsearch.cli.main import main
from pdsearch.config import load


def test_the_best_teachers_are_written_best_first(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(study_folder), "--out", str(tmp_path / "best"), "--top", "2"]) == 0
    captured = capsys.readouterr()
    folders = [Path(line) for line in captured.out.splitlines()]
    assert [folder.name[0] for folder in folders] == ["1", "2"]
    assert "magnitude" in (folders[0] / "config.yaml").read_text()
    assert f"pdsearch run {folders[0] / 'config.yaml'}" in captured.err


def test_an_exported_configuration_is_a_space_of_one(study_folder: Path, tmp_path: Path) -> None:
    assert main(["export", str(study_folder), "--out", str(tmp_path)]) == 0
    (config,) = tmp_path.glob("1-*/config.yaml")
    assert load(config).parameters == ()


def test_an_existing_folder_is_replaced_on_request_only(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", str(study_folder), "--out", str(tmp_path / "best")]
    assert main(words) == 0
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0


def test_a_folder_without_a_study_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
