"""The smaller verbs, each called as a person does."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import pdsearch.config
from pdsearch.artifacts import hold
from pdsearch.cli.main import main
from pdsearch.cli.verbs import demo
from pdsearch.config import load
from tests.faults import scripted_study
from tests.search.test_retry import run_failing


def test_the_schema_is_printed_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdsearch.config, "json_schema", lambda: {"type": "object"}, raising=False)
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "object"}


def test_a_study_is_extended_after_it_was_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "space.yaml"
    file.write_text(yaml.safe_dump(scripted_study.space(root).to_json()))
    wider = ("--set", "space.distill.alpha={low: 0.0, high: 1.0}")
    assert main(["extend", str(file), *wider]) == 2
    assert "there is no study to extend" in capsys.readouterr().err
    scripted_study.run(scripted_study.space(root))
    assert main(["extend", str(file)]) == 0
    assert "has this space already" in capsys.readouterr().out
    assert main(["extend", str(file), *wider, "--dry-run"]) == 0
    assert "space.distill.alpha.low: 0.1 -> 0.0\nnothing was changed" in capsys.readouterr().out
    assert main(["extend", str(file), *wider]) == 0
    assert f"to go on: pdsearch run {file}" in capsys.readouterr().out
    assert main(["extend", str(file), *wider]) == 0
    assert main(["extend", str(file)]) == 2
    assert "wider, not narrower" in capsys.readouterr().err


def test_failed_trials_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = run_failing(scripted_study.space(root), "search", 1)
    assert main(["retry", str(root / "study"), "--failed"]) == 0
    assert capsys.readouterr().out == f"{failed[0]} will be tried again\n"
    assert main(["retry", str(root / "study"), "--failed"]) == 0
    assert capsys.readouterr().out == "no trial has failed\n"


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


def test_a_file_is_no_study_for_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "space.yaml").touch()
    assert main(["show", str(tmp_path / "space.yaml")]) == 2
    assert "is a file, and a study is a folder" in capsys.readouterr().err


def test_one_trial_by_its_number_and_as_a_space_file(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trial.yaml"
    assert main(["show", str(study_folder), "0", "--config", str(out)]) == 0
    text = capsys.readouterr().out
    assert "search-00000" in text
    assert "in 1 of 20 epochs" in text
    assert "teacher: {model: vgg19_bn" in out.read_text()
    assert main(["show", str(study_folder), "0", "--config", str(out)]) == 2
    assert main(["show", str(study_folder), "nothing"]) == 2


def test_the_studies_of_a_storage(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(study_folder.parent)]) == 0
    assert str(study_folder) in capsys.readouterr().out


def test_the_best_teachers_are_written_best_first(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(study_folder), "--out", str(tmp_path / "best"), "--top", "2"]) == 0
    captured = capsys.readouterr()
    folders = [Path(line) for line in captured.out.splitlines()]
    assert [folder.name[0] for folder in folders] == ["1", "2"]
    assert "magnitude" in (folders[0] / "config.yaml").read_text()
    assert f"pdsearch run {folders[0] / 'config.yaml'}" in captured.err


@pytest.fixture
def study(root: Path) -> Path:
    scripted_study.run(scripted_study.space(root, trials=2))
    return root / "study"


def test_what_is_whole_and_what_is_broken_is_said(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(study), "--deep"]) == 0
    assert capsys.readouterr().out == "all is as it must be\n"
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


def test_a_page_that_cannot_be_written_is_one_message(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(study_folder), "--out", str(tmp_path / "no" / "page.html")]) == 74
    assert "no/page.html: storage refused" in capsys.readouterr().err.replace("\n", "")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path, dict[str, Any]]]:
    found: list[tuple[Path, dict[str, Any]]] = []
    monkeypatch.setattr(demo, "run", lambda path, **how: found.append((path, how)))
    monkeypatch.chdir(tmp_path)
    return found


def test_it_writes_the_space_once_and_runs_it_on_this_machine(ran: list[tuple[Path, dict[str, Any]]]) -> None:
    assert main(["demo"]) == 0
    assert main(["demo", "--serial"]) == 0
    assert [(path.name, how["address"], how["serial"]) for path, how in ran] == [
        ("digits.yaml", "local", False),
        ("digits.yaml", None, True),
    ]
    assert load("digits.yaml").study == "digits"


def test_a_file_of_the_user_is_kept(
    ran: list[tuple[Path, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("digits.yaml").write_text("mine")
    assert main(["demo"]) == 2
    assert (Path("digits.yaml").read_text(), ran) == ("mine", [])
    assert "pdsearch run digits.yaml runs it" in capsys.readouterr().err
