"""`pdsearch plan` prints its figures with their meaning, as text and as JSON."""

import json
from pathlib import Path

import pytest

from pdsearch.cli.main import main
from pdsearch.cli.sizes import size
from tests.cli.test_check import SPACE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPACE)
    return path


def test_a_person_reads_phases_teachers_and_storage(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(file)]) == 0
    text = capsys.readouterr().out
    assert "study small: 6 search trials; as drawn at random, always the same" in text
    assert "convnet_l magnitude round 2, 36 %\t2\t1\t3\n" in text
    assert "search\t6\t68\t32\n" in text
    assert "groundwork\t1\t4\t8\n" in text
    assert "trials that are stopped early cost less" in text
    assert "times cheaper" in text
    assert "storage: about " in text


def test_a_program_reads_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(file), "--json", "--set", "search.trials=12"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trials"] == 12
    assert found["with_reuse"] == pytest.approx(sum(phase["with_reuse"] for phase in found["phases"]))
    assert found["disk"]["total"] > 0
    assert [artifact["stage"] for artifact in found["artifacts"]] == ["teacher", *["prune"] * 4]


def test_a_grid_is_exact_and_unknown_files_are_said_to_be(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--set", "space.distill.temperature=[1, 2]", "--set", "data={source: parquet, root: there}"]
    assert main(["plan", str(file), *words]) == 0
    text = capsys.readouterr().out
    assert "6 search trials; every trial of the space" in text
    assert "storage: not known before the images are read" in text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12_345, "12.3 kB"), (2.5e9, "2.5 GB"), (3e13, "30 TB")],
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert size(count) == text
