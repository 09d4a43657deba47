"""What an export needs to be run again: packages, files, own code."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from safetensors.torch import save_file

from pdsearch.analysis.study_table import Row, read_study
from pdsearch.config import load, parse
from pdsearch.exporting.bundle import Exported, export_study
from pdsearch.exporting.config_file import Needs, from_anywhere, needs_of, pinned_space, storage_of, to_yaml
from pdsearch.exporting.student_file import read_card
from pdsearch.io import place
from pdsearch.models import build
from pdsearch.records.study_record import UNKNOWN_SPACE, StudyRecord
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec
from tests.data.layouts import laid_out
from tests.exporting.conftest import RECIPE, run
from tests.own_code import Author
from tests.patient import PATIENCE_S

ROOT = Path(__file__).parents[2]


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


def test_the_commands_name_each_folder_of_own_code_once_and_none_where_all_is_installed() -> None:
    code = {
        "mine:tiny": "/my code",
        "mine:squared": "/my code",
        "theirs:read": "/theirs",
        "installed:f": None,
    }
    needs = Needs("/runs", None, None, code)
    assert needs.command() == "PYTHONPATH='/my code:/theirs' pdsearch run config.yaml"
    assert needs.command("my best/config.yaml").endswith(" pdsearch run 'my best/config.yaml'")
    assert needs.elsewhere == "PYTHONPATH=FOLDER:FOLDER pdsearch run config.yaml --set storage=FOLDER"
    installed = replace(needs, code={"installed:f": None})
    assert installed.command() == "pdsearch run config.yaml"
    assert installed.elsewhere == "pdsearch run config.yaml --set storage=FOLDER"


@pytest.mark.parametrize(
    ("source", "root", "found"),
    [
        ("callable", "small", None),
        ("callable", "s3://bucket/set", None),
        ("callable", "/data/set", "/data/set"),
        ("callable", "~/set", "~/set"),
        ("callable", None, None),
        ("image_folder", "/data/set", "/data/set"),
    ],
)
def test_a_word_that_one_s_own_function_takes_as_its_root_needs_no_folder(
    source: str, root: str | None, found: str | None
) -> None:
    spec = replace(SPEC, data=replace(SPEC.data, source=source, root=root))
    assert needs_of(spec, "/runs", StudyRecord(study="small", space=UNKNOWN_SPACE)).root == found


@pytest.fixture
def exported(author: Author, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """A study whose paths are relative to the folder it was started in; images, weights and code lie there."""
    laid_out("image_folder", author.folder / "images")
    module = author.write()
    teacher = build("convnet_s", num_classes=2, input_shape=(3, 8, 8), seed=0)
    save_file(teacher.state_dict(), author.folder / "teacher.safetensors")
    document: dict[str, Any] = {
        "study": "from-here",
        "data": {"source": "image_folder", "root": "images", "val_fraction": 0.5},
        "teacher": {"model": "convnet_s", "checkpoint": "teacher.safetensors"},
        "student": {"model": f"{module}:flat", "options": {"width": 3}},
        "distill": {"loss": f"{module}:squared"},
        "train": {"recover": RECIPE, "distill": RECIPE},
        "prune": {"method": "magnitude", "schedule": "one_shot", "ratio": 0.5},
        "precision": "fp32",
        "storage": "runs",
    }
    study = run(parse(document))
    (author.folder / "away").mkdir()
    monkeypatch.chdir(author.folder / "away")
    (one,) = export_study(study, author.folder / "out")
    return one


def start(command: str, folder: Path) -> None:
    """Start what an export says in a folder, as a shell would."""
    variables, _, words = command.partition("pdsearch run")
    given = dict(variable.split("=", 1) for variable in shlex.split(variables))
    paths = [*given.pop("PYTHONPATH", "").split(":"), str(ROOT)]
    assert given == {}
    found = subprocess.run(
        [sys.executable, "-m", "pdsearch", "run", *shlex.split(words), "--serial", "--progress", "lines"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ":".join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert found.returncode == 0, found.stderr


def trial(storage: Path) -> Row:
    (folder,) = (path for path in storage.glob("from-here-*") if (path / "study.json").exists())
    (row,) = (row for row in read_study(folder).rows if row.kind == "search")
    return row


def test_it_runs_from_another_folder_and_trains_nothing(exported: Exported, tmp_path: Path) -> None:
    before = sorted((tmp_path / "runs" / "artifacts").glob("*/*/*"))
    another = tmp_path / "another"
    another.mkdir()
    start(exported.command, another)
    again = trial(tmp_path / "runs")
    assert (again.epochs_teacher, again.epochs_prune, again.epochs_distill) == (0, 0, 0)
    assert (again.key, again.artifacts_built) == (read_card(exported.folder).key, 0)
    assert sorted((tmp_path / "runs" / "artifacts").glob("*/*/*")) == before
    assert list(another.iterdir()) == []


def test_the_copy_on_another_machine_runs_with_what_it_says(exported: Exported, tmp_path: Path) -> None:
    there = tmp_path / "there"
    shutil.copytree(exported.folder, there / "copy")
    for file in (tmp_path / "images", tmp_path / "teacher.safetensors", *tmp_path.glob("*.py")):
        to = there / "code" / file.name if file.suffix == ".py" else there / file.name
        to.parent.mkdir(exist_ok=True)
        file.rename(to)
    card, config = ((there / "copy" / name).read_text() for name in ("card.md", "config.yaml"))
    assert f"`{tmp_path}/images` (`data.root`)" in card
    (command,) = re.findall("^Elsewhere, .*: `(.+?)`", card, re.MULTILINE)
    assert f"#     {command}" in config.splitlines()
    lie = {"PYTHONPATH": "code", "storage": "new", "data.root": "images"}
    for name, where in {**lie, "teacher.checkpoint": "teacher.safetensors"}.items():
        command, filled = re.subn(rf"\b{name}=(FOLDER|FILE)\b", f"{name}=../{where}", command)
        assert filled == 1, name
    start(command, there / "copy")
    assert trial(there / "new").key == read_card(exported.folder).key


PINNED_RECIPE = Recipe(epochs=3, lr=5e-05, milestones=(1, 2), select="best_val", warmup_epochs=1)
SPEC = TrialSpec(
    data=DataSpec(source="digits", val_fraction=0.3, split_seed=7, augment="crop", subset=100),
    teacher=TeacherSpec(model="convnet_l", seed=3, recipe=PINNED_RECIPE, options=(("widths", (4, 8)),)),
    student=StudentSpec(model="convnet_s", options=(("widths", (2, 4)),)),
    distill=DistillSpec(
        recipe=replace(PINNED_RECIPE, schedule="cosine", optimizer="adam"),
        params=(("alpha", 0.95), ("standardise", False), ("temperature", 1.1458197897911848)),
        seed=11,
        view_seed=12,
    ),
)
PRUNED = PruneSpec(method="magnitude", ratio=0.59, recipe=replace(PINNED_RECIPE, lr=0.01), exclude=("stem*",))

CASES = {
    "unpruned": SPEC,
    "alone": replace(SPEC, distill=replace(SPEC.distill, loss="ce", params=())),
    "pruned": replace(SPEC, prune=PRUNED),
    "linear": replace(SPEC, prune=replace(PRUNED, schedule="linear", rounds=3, scope="layer")),
    "at init": replace(SPEC, prune=replace(PRUNED, at="init", recipe=SPEC.teacher.recipe)),
    "no recovery": replace(SPEC, prune=replace(PRUNED, recovery="none", recipe=Recipe(epochs=1, lr=1.0))),
    "from teacher": replace(SPEC, prune=PRUNED, student=StudentSpec(model="from_teacher")),
    "kept": replace(SPEC, prune=PRUNED, student=StudentSpec("from_teacher", init="kept")),
    "kept baseline": replace(SPEC, student=StudentSpec("from_teacher", init="kept", start=PRUNED)),
    "narrow": replace(SPEC, student=StudentSpec("resnet8", widths=(("stem.0.weight", 8),))),
    "bf16": replace(SPEC, precision="bf16"),
    "odd root": replace(SPEC, data=replace(SPEC.data, root="1e3")),
}


@pytest.mark.parametrize("name", CASES)
def test_the_file_resolves_to_the_trial(tmp_path: Path, name: str) -> None:
    document = pinned_space(CASES[name], study="again", resources={"cpu": 2, "gpu": 0})
    (tmp_path / "config.yaml").write_text(to_yaml(document), encoding="utf-8")
    space = load(tmp_path / "config.yaml")
    assert (space.study, space.parameters, space.search.trials, space.confirm) == ("again", (), 1, None)
    assert space.resolve({}) == CASES[name]
    assert space.resources.cpu == 2


def test_every_field_of_a_trial_is_pinned() -> None:
    """Nothing is left to a default that may change."""
    before = parse(pinned_space(CASES["pruned"], study="again")).to_json()
    document = pinned_space(CASES["pruned"], study="again")
    for section in ("data", "teacher", "student", "train", "prune", "distill"):
        named, pinned = cast("Any", (before[section], document[section]))
        assert set(pinned) == set(named), section


@pytest.mark.parametrize(
    "text", ["1e3", "off", "yes", "null", "0o7", ".inf", "-1", "~", "a: b", "# c", "", "1_000"]
)
def test_texts_stay_texts(text: str) -> None:
    written = to_yaml({"a": text})
    assert yaml.safe_load(written) == {"a": text}
    if text[:1] in "01.-~":
        assert f'"{text}"' in written


@pytest.mark.parametrize("head", ["keep", "fresh"])
def test_a_teacher_from_a_file_is_pinned_by_its_file_and_by_how_it_is_trained(head: str) -> None:
    recipe = Recipe(epochs=1, lr=1.0) if head == "keep" else SPEC.teacher.recipe
    outside = replace(SPEC.teacher, checkpoint="/there/teacher.pth", recipe=recipe, head=head)
    spec = replace(SPEC, prune=PRUNED, teacher=outside)
    found = replace(spec, teacher=replace(outside, fingerprint="f" * 64))
    assert parse(pinned_space(found, study="again")).resolve({}) == spec
