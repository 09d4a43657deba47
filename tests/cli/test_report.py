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


def test_its_name_is_the_studys_and_nothing_is_overwritten(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(study_folder)]) == 0
    (tmp_path / "small.html").write_text("mine")
    assert main(["report", str(study_folder)]) == 2
    assert "small.html: is there already" in capsys.readouterr().err
    assert (tmp_path / "small.html").read_text() == "mine"
    assert main(["report", str(study_folder), "--force"]) == 0
    assert "magnitude" in (tmp_path / "small.html").read_text()


def test_markdown_with_figures_for_a_paper(study_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "paper.md"
    assert (
        main(["report", str(study_folder), "--format", "markdown", "--figures", "pdf", "--out", str(out)])
        == 0
    )
    assert "](paper_figures/accuracy.pdf)" in out.read_text()
    assert (tmp_path / "paper_figures" / "accuracy.pdf").read_bytes().startswith(b"%PDF")


def test_studies_are_set_side_by_side(study_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    assert main(["report", str(study_folder), "--compare", str(study_folder), "--out", str(out)]) == 0
    assert "2 studies side by side" in out.read_text()


def test_no_study_and_no_folder_are_one_message_each(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "there is no study here" in capsys.readouterr().err
    assert main(["report", str(study_folder), "--out", str(tmp_path / "no" / "page.html")]) == 74
    assert "no/.page.html.tmp" in capsys.readouterr().err.replace("\n", "")
