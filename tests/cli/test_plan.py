"""`pdsearch plan` prints its figures with their meaning, as text and as JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pdsearch.artifacts import building, open_store
from pdsearch.cli.main import main
from pdsearch.cli.sizes import size
from pdsearch.config import Space, load
from pdsearch.io import resolved
from pdsearch.pipeline.keys import dense_key
from pdsearch.search.planning import calibrate
from pdsearch.search.study import described
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


def test_hours_are_told_from_both_networks_and_what_is_stored_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibrate, "ENOUGH_S", 0.0)
    file = tmp_path / "small.yaml"
    file.write_text(SPACE)
    assert main(["plan", str(file), "--calibrate", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert (before["stored"], before["hours"]["device"]) == ({"artifacts": [], "epochs": 0.0}, "cpu")
    loaded = load(file)
    spec = replace(described(loaded), precision="fp32").complete(loaded.resolve(loaded.defaults()))
    store = open_store(resolved(loaded.storage) / "artifacts")
    with building(store, "teacher", dense_key(spec)) as turn:
        list(turn.wait())
        turn.publish(lambda folder: (folder / "weights").touch(), {})
    assert main(["plan", str(file), "--calibrate", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert after["stored"] == {"artifacts": ["convnet_l"], "epochs": loaded_epochs(loaded)}
    assert after["with_reuse"] == before["with_reuse"] - after["stored"]["epochs"]
    assert main(["plan", str(file)]) == 0
    text = capsys.readouterr().out
    assert "1 of 5 teachers and rounds are stored already: 4 epochs that are not trained again" in text
    assert "hours: add --calibrate" in text


def loaded_epochs(space: Space) -> int:
    """The epochs of a space's dense teacher."""
    return space.resolve(space.defaults()).teacher.recipe.epochs
