"""The commands that reproduce published figures run, end in time, resume, and say what differs."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import mdistiller, paper
from benchmarks.time_boxed import SPACES, Experiment, options, run, shortened
from pdsearch.config import load

SECONDS = replace(
    paper.EXPERIMENT,
    tiny=(*paper.EXPERIMENT.tiny, "space.prune.ratio=0.36", "confirm.teachers=1", "search.trials=2"),
)


def told(experiment: Experiment, folder: Path, *words: str) -> dict[str, Any]:
    """Run a command in this process; return what it printed."""
    asked = options("").parse_args(["--tiny", "--seeds", "1", "--folder", str(folder), *words])
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()):
        run(experiment, asked)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_a_call_ends_when_its_time_is_over_and_the_next_goes_on(tmp_path: Path) -> None:
    cut = told(SECONDS, tmp_path, "--minutes", "0")
    assert not cut["complete"]
    whole = told(SECONDS, tmp_path, "--json", str(tmp_path / "found.json"))
    assert whole["complete"]
    assert json.loads((tmp_path / "found.json").read_text()) == whole
    assert {line["loss"] for line in whole["lines"]} == {"kd", "ce"}
    assert all(len(line["seeds"]) == line["test"]["n"] == 1 for line in whole["lines"])
    assert {"cpu", "gpu", "memory_gb"} <= set(whole["hardware"])
    assert {"torch", "pdsearch"} <= set(whole["versions"])
    assert "its figures mean nothing" in whole["differences"][-1]


@pytest.mark.parametrize(
    "experiment", [mdistiller.EXPERIMENT, paper.EXPERIMENT], ids=lambda found: found.name
)
def test_a_tiny_run_is_of_a_space_that_is_right(experiment: Experiment) -> None:
    space = load(SPACES / experiment.space, experiment.tiny)
    assert dict(space.fixed)["data.source"] == "digits"
    assert dict(space.fixed)["train.distill.epochs"] <= 2


def test_schedules_are_shortened_in_proportion() -> None:
    short = shortened(load(SPACES / paper.EXPERIMENT.space), 0.25)
    assert short == [
        "train.teacher.epochs=50",
        "train.teacher.milestones=[15, 30, 40]",
        "train.recover.epochs=32",
        "train.recover.milestones=[10, 21]",
        "train.distill.epochs=50",
        "train.distill.milestones=[15, 30, 40]",
    ]
    found = dict(load(SPACES / paper.EXPERIMENT.space, short).fixed)
    assert (found["train.recover.epochs"], found["train.recover.milestones"]) == (32, (10, 21))
    assert shortened(load(SPACES / paper.EXPERIMENT.space), 1) == []


def test_mdistiller_s_recipe_is_mdistiller_s() -> None:
    """configs/cifar100/kd.yaml, dkd/res32x4_res8x4.yaml and engine/cfg.py of megvii-research/mdistiller at a08d46f."""
    space = load(SPACES / mdistiller.EXPERIMENT.space)
    assert not space.validated
    for loss in ("kd", "dkd"):
        spec = space.resolve({"distill.loss": loss})
        assert (spec.teacher.model, spec.student.model) == ("resnet32x4", "resnet8x4")
        assert spec.teacher.recipe == spec.distill.recipe
        recipe = spec.distill.recipe
        assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.momentum) == (240, 64, 0.05, 0.9)
        assert (recipe.milestones, recipe.gamma, recipe.weight_decay) == ((150, 180, 210), 0.1, 5e-4)
        assert (recipe.optimizer, recipe.nesterov, recipe.select) == ("sgd", False, "last")
    kd, dkd = (dict(space.resolve({"distill.loss": loss}).distill.params) for loss in ("kd", "dkd"))
    assert (kd["temperature"], kd["alpha"]) == (4, 0.9)
    weights = dkd["target_weight"], dkd["other_weight"], dkd["hard_weight"], dkd["warmup_epochs"]
    assert (dkd["temperature"], *weights) == (4, 1, 8, 1, 20)
