"""An exported configuration runs again from any folder of the machine: what it needs is named by whole paths."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import save_file

from pdsearch.analysis import Row, read_study
from pdsearch.export import export_study, read_card
from pdsearch.export.needs import from_anywhere, storage_of
from pdsearch.models import build
from pdsearch.space import load, parse
from pdsearch.storage import place
from tests.data.layouts import laid_out
from tests.export.conftest import RECIPE, run
from tests.export.test_pinned import SPEC
from tests.own_code import Author, author

__all__ = ["author"]


def test_what_an_older_record_names_is_looked_for_where_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "t.pth").touch()
    old = replace(
        SPEC, data=replace(SPEC.data, root="data"), teacher=replace(SPEC.teacher, checkpoint="t.pth")
    )
    found = from_anywhere(old)
    assert (found.data.root, found.teacher.checkpoint) == (str(tmp_path / "data"), str(tmp_path / "t.pth"))
    monkeypatch.chdir(tmp_path / "data")
    assert from_anywhere(old) == old, "no path is made up"


def test_it_goes_where_the_artifacts_are() -> None:
    here, copied = place("/runs/study"), place("/laptop/study")
    assert storage_of(here, place("/runs/artifacts")) == "/runs"
    assert storage_of(copied, place("/runs/artifacts")) == "/runs"
    assert storage_of(copied, place("/elsewhere")) == "/laptop"
    assert storage_of(place("s3://b/p/study"), place("s3://b/p/artifacts")) == "s3://b/p"


@pytest.fixture
def exported(author: Author, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose paths are relative to the folder it was started in; images, weights and code lie there."""
    laid_out("image_folder", author.folder / "images")
    name = f"{author.write()}:flat"
    teacher = build("convnet_s", num_classes=2, channels=3, image_size=8, seed=0)
    save_file(teacher.state_dict(), author.folder / "teacher.safetensors")
    document: dict[str, Any] = {
        "study": "from-here",
        "data": {"source": "image_folder", "root": "images", "val_fraction": 0.5},
        "teacher": {"model": "convnet_s", "checkpoint": "teacher.safetensors"},
        "student": {"model": name, "options": {"width": 3}},
        "train": {"recover": RECIPE, "distill": RECIPE},
        "prune": {"method": "magnitude", "schedule": "one_shot", "ratio": 0.5},
        "precision": "fp32",
        "storage": "runs",
    }
    study = run(parse(document))
    (author.folder / "away").mkdir()
    monkeypatch.chdir(author.folder / "away")
    (folder,) = export_study(study, author.folder / "out")
    return folder


def pdsearch(exported: Path, start: Path) -> None:
    """Start the command that the configuration itself names, from another folder."""
    config = exported / "config.yaml"
    command = config.read_text().splitlines()[1].removeprefix("#").strip()
    variable, _, rest = command.partition(" ")
    name, _, value = variable.partition("=")
    assert (name, rest) == ("PYTHONPATH", "pdsearch run config.yaml")
    here = str(Path(__file__).parents[2])
    environment = {**os.environ, name: f"{value}:{here}"}
    words = [sys.executable, "-m", "pdsearch", "run", str(config), "--serial", "--progress", "lines"]
    found = subprocess.run(
        words, cwd=start, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr


def trial(storage: Path) -> Row:
    (folder,) = (path for path in storage.glob("from-here-*") if (path / "study.json").exists())
    (row,) = (row for row in read_study(folder).rows if row.kind == "search")
    return row


def test_it_runs_from_another_folder_and_trains_nothing(exported: Path, tmp_path: Path) -> None:
    before = sorted((tmp_path / "runs" / "artifacts").glob("*/*/*"))
    start = tmp_path / "another"
    start.mkdir()
    pdsearch(exported, start)
    again = trial(tmp_path / "runs")
    assert (again.epochs_teacher, again.epochs_prune, again.epochs_distill) == (0, 0, 0)
    assert (again.key, again.artifacts_built) == (read_card(exported).key, 0)
    assert sorted((tmp_path / "runs" / "artifacts").glob("*/*/*")) == before
    assert list(start.iterdir()) == []


def test_a_moved_copy_runs_with_what_the_card_says(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"`{tmp_path}/images` (`data.root`)" in (exported / "card.md").read_text()
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("images", "teacher.safetensors"):
        (tmp_path / name).rename(moved / name)
    monkeypatch.chdir(moved)
    said = ["storage=new", "data.root=images", "teacher.checkpoint=teacher.safetensors"]
    run(load(exported / "config.yaml", said))
    assert trial(moved / "new").key == read_card(exported).key


def test_every_path_in_the_file_is_whole(exported: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((exported / "config.yaml").read_text())
    assert document["data"]["root"] == str(tmp_path / "images")
    assert document["teacher"]["checkpoint"] == str(tmp_path / "teacher.safetensors")
    assert document["storage"] == str(tmp_path / "runs")
    assert load(exported / "config.yaml").storage == str(tmp_path / "runs")
