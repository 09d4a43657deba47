from pathlib import Path

import pytest

from pdsearch.cli.main import main


def test_a_page_is_written_whole(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert main(["report", str(study_folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert "magnitude" in out.read_text()
    assert [path.name for path in tmp_path.iterdir() if path.suffix in (".html", ".tmp")] == ["page.html"]


def test_no_study_and_no_folder_are_one_message_each(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "there is no study here" in capsys.readouterr().err
    assert main(["report", str(study_folder), "--out", str(tmp_path / "no" / "page.html")]) == 74
    assert "no/.page.html.tmp" in capsys.readouterr().err.replace("\n", "")
