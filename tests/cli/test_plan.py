"""`pdsearch plan` prints its figures with their meaning, as text and as JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pdsearch.artifacts import building, open_store
from pdsearch.cli.console import size
from pdsearch.cli.main import main
from pdsearch.config import Space, load, parse
from pdsearch.input_spec import InputSpec
from pdsearch.io import resolved
from pdsearch.pipeline.keys import dense_key
from pdsearch.search.planning import calibrate, remaining, simulate
from pdsearch.search.planning.disk import DataShape
from pdsearch.search.study import described
from pdsearch.training.device import Engine, cores
from tests.cli.conftest import SPACE
from tests.own_code import Author

IMAGES = DataShape(10, InputSpec((1, 8, 8)), 100, 10)


def test_a_person_reads_phases_teachers_and_storage(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(file)]) == 0
    text = capsys.readouterr().out
    assert "study small: 6 search trials; drawn as by its sampler" in text
    assert "convnet_l magnitude round 2, 36 %\t2\t1\t3\n" in text
    assert "search\t6\t62\t26\n" in text
    assert "groundwork\t1\t4\t8\n" in text
    assert "the middle of 9 draws; in all of them 23 to 28 students, 96 to 118 epochs with reuse" in text
    assert "some trials are stopped early, as drawn" in text
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
    assert "storage: not known before the images are read, which --calibrate does" in text


def test_data_of_ones_own_are_read_to_calibrate(
    file: Path, author: Author, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes: list[tuple[int, ...]] = []

    def instead(_: object, images: DataShape, __: object) -> float:
        shapes.append(images.inputs.shape)
        return 1000.0

    monkeypatch.setattr(calibrate, "images_per_s", instead)
    own = "import numpy as np\ndef data(): return np.zeros((100, 1, 9, 9), 'u1'), np.arange(100) % 2, None, None, 'ab'"
    data = f"{{source: callable, options: {{function: '{author.write(own)}:data'}}, test_fraction: 0.2, crop: 8}}"
    assert main(["plan", str(file), "--calibrate", "--json", "--set", f"data={data}"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["disk"]["data"] == 100 * 81
    assert {*shapes} == {(1, 8, 8)}
    epochs = sum(calibrate.passes(remaining.forecast(load(file, [f"data={data}"])).plan).values())
    # Of 80 training images 8 are for validation, which is a third of the work.
    assert (found["hours"]["seconds"] - calibrate.START_S) * cores() == pytest.approx(epochs * 75 / 1000)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12_345, "12.3 kB"), (2.5e9, "2.5 GB"), (3e13, "30 TB")],
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert size(count) == text


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What is measured, and whether it was trained; everything is as fast."""
    seen: list[tuple[str, bool]] = []

    def instead(what: calibrate.Pass, *_: object) -> float:
        seen.append((what.model, what.train))
        return 1000.0

    monkeypatch.setattr(calibrate, "images_per_s", instead)
    return seen


def test_hours_leave_out_what_is_stored_and_networks_are_measured_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[tuple[str, bool]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "small.yaml"
    file.write_text(SPACE)
    assert main(["plan", str(file), "--calibrate", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert (before["stored"], before["hours"]["device"]) == ({"artifacts": [], "epochs": 0.0}, "cpu")
    assert sorted(measured) == [("convnet_l", False), ("convnet_l", True), ("convnet_s", True)]
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
    assert after["hours"]["seconds"] < before["hours"]["seconds"]
    assert main(["plan", str(file)]) == 0
    text = capsys.readouterr().out
    assert "1 of 5 teachers and rounds are stored already: 4 epochs that are not trained again" in text
    assert "hours: add --calibrate" in text
    assert len(measured) == 3
    for path in (tmp_path / "runs" / "speeds").iterdir():
        path.write_text("{")
    assert main(["plan", str(file), "--calibrate"]) == 0
    assert len(measured) == 6
    assert "training convnet_l, 64 at once: 1,000 images/s" in capsys.readouterr().out
    (tmp_path / "runs" / "speeds").rename(tmp_path / "moved")
    (tmp_path / "runs" / "speeds").touch()  # No folder: neither read nor written.
    assert main(["plan", str(file), "--calibrate"]) == 0
    assert "not all kept: " in capsys.readouterr().out


def test_each_network_is_measured_up_to_a_bound(measured: list[tuple[str, bool]]) -> None:
    document = yaml.safe_load(SPACE.replace("teacher: {model: convnet_l}", "teacher: {seed: 0}"))
    document["space"]["teacher.model"] = ["convnet_m", "convnet_l"]
    planned = simulate.plan(parse(document))
    rates = calibrate.Rates(IMAGES, Engine())
    whole = calibrate.seconds(planned, rates, 100, gpu=0)
    assert {model for model, train in measured if train} == {"convnet_s", "convnet_m", "convnet_l"}
    few = replace(rates, known={})
    assert calibrate.seconds(planned, few, 100, gpu=0, most=1) == pytest.approx(whole)
    assert len(few.known) == 1


def test_a_speed_is_measured() -> None:
    assert calibrate.images_per_s(calibrate.Pass("convnet_s", (), 8, True), IMAGES, Engine()) > 1


def loaded_epochs(space: Space) -> int:
    """The epochs of a space's dense teacher."""
    return space.resolve(space.defaults()).teacher.recipe.epochs


def test_of_a_study_that_is_done_nothing_is_left(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = remaining.forecast(load(file))
    done = replace(found.plan, done=6, phases=(), artifacts=())
    monkeypatch.setattr(
        remaining, "forecast", lambda _space: replace(found, draws=(done,), other="another study is there")
    )
    assert main(["plan", str(file)]) == 0
    text = capsys.readouterr().out
    assert "another study is there\nstudy small: 6 of 6 search trials are done; what is left\n" in text
    assert "nothing is left to do\n" in text


def test_a_long_list_of_teachers_is_cut_off(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pdsearch.cli.verbs.plan.MOST_ROWS", 2)
    assert main(["plan", str(file), "--set", "search.stop=off", "--set", "confirm=off"]) == 0
    assert "and 3 more; --json has all" in capsys.readouterr().out
