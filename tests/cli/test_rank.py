import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from pdsearch.cli.main import main


def test_the_teacher_of_the_best_students_stands_first(
    study_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", str(study_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("rank\tteacher\t")
    assert "magnitude" in lines[1]
    assert "92.00" in lines[1]
    assert any("interval" in line for line in lines[4:])


def test_detail_adds_columns(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", str(study_folder)]) == 0
    plain = capsys.readouterr().out.splitlines()[0].split("\t")
    assert main(["rank", str(study_folder), "--detail"]) == 0
    detailed = capsys.readouterr().out.splitlines()[0].split("\t")
    assert detailed[: len(plain)] == plain
    assert len(detailed) > len(plain)


def test_forms_for_programs(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", str(study_folder), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == "small"
    assert main(["rank", str(study_folder), "--format", "csv"]) == 0
    first, *_ = csv.DictReader(capsys.readouterr().out.splitlines())
    assert first["prune_method"] == "magnitude"
    assert main(["rank", str(study_folder), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## ")


def test_a_file_is_written_instead_of_the_screen(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ranking.md"
    assert main(["rank", str(study_folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_text().startswith("## ")


def test_all_trials_go_into_a_parquet_file(study_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    assert main(["rank", str(study_folder), "--rows", str(out)]) == 0
    assert pyarrow.parquet.read_table(out).num_rows == 11


def test_the_front_of_several_objectives(study_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", str(study_folder), "--front"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("trial\tstudent.val_accuracy (maximize)\tstudent.params (minimize)")
    assert [line.split("\t")[0] for line in lines[1:-2]] == ["search-00000"]
    assert "confirmed are means" in lines[-2]


def test_the_front_is_written_in_the_form_and_to_the_file_that_are_asked_for(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", str(study_folder), "--front", "--format", "json"]) == 0
    assert [row["trial"] for row in json.loads(capsys.readouterr().out)["rows"]] == ["search-00000"]
    out = tmp_path / "front.csv"
    assert main(["rank", str(study_folder), "--front", "--format", "csv", "--out", str(out)]) == 0
    assert out.read_text().startswith("trial,key,student.val_accuracy,student.params,confirmed_val_n,")
    assert main(["rank", str(study_folder), "--front", "--detail"]) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_one_message(
    study_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", str(study_folder), "--out", str(tmp_path / "no" / "such.md")]) == 74
    assert "such.md" in capsys.readouterr().err
