"""Several teachers as one choice, trained here or elsewhere: searched, confirmed and ranked, with tiny networks."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.artifacts import open_store
from pdsearch.driver import run_serially
from pdsearch.models import build
from pdsearch.pipeline.context import WorkerContext
from pdsearch.search.study import open_as_driver
from tests.search.scripted_trials import DOCUMENT, Watching, searching, space

RECIPE = {"epochs": 2, "lr": 0.05, "batch_size": 16}
PARTS: dict[str, Any] = {
    "train": {"teacher": RECIPE, "recover": {**RECIPE, "epochs": 1}, "distill": RECIPE},
    "confirm": {"teachers": 4, "seeds": 2},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def ranked(folder: Path, **sections: Any) -> tuple[Ranking, Watching]:
    """Run a study to its end and rank it."""
    watching = Watching()
    with open_as_driver(space(folder, **{**PARTS, **sections}), watching) as study:
        run_serially(study.scheduler, WorkerContext(open_store(study.artifacts), study.progress))
        assert study.scheduler.failure is None
        return rank_teachers(read_study(study.folder)), watching


def test_architectures_are_a_choice_of_the_search(tmp_path: Path) -> None:
    choices = {
        "teacher.model": ["convnet_s", "convnet_m"],
        "prune.method": ["none", "magnitude"],
        "prune.ratio": {"choices": [0.2], "when": {"prune.method": ["magnitude"]}},
        "distill.temperature": [1, 4, 16],
    }
    ranking, watching = ranked(
        tmp_path, teacher={}, space=choices, search=searching(trials=10, sampler="random")
    )
    assert watching.phases[0] == ("groundwork", 3, 0)
    assert set(watching.states) == {"complete"}
    lines = {row.best.teacher_model: row for row in ranking.rows if row.best.prune_method == "magnitude"}
    assert set(lines) == {"convnet_s", "convnet_m"}
    for model, row in lines.items():
        assert row.label.startswith(f"{model} magnitude")
        assert row.confirmed
        assert row.gains_val["unpruned_same"] is not None
        assert row.gains_val["unpruned_best"] is not None


def test_a_teacher_from_a_file_is_pruned_taught_by_and_ranked(tmp_path: Path) -> None:
    model = build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=3)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "t.pth")
    recipes = {name: PARTS["train"][name] for name in ("recover", "distill")}
    ranking, watching = ranked(
        tmp_path,
        teacher={"model": "convnet_s", "checkpoint": str(tmp_path / "t.pth")},
        train=recipes,
        space={"prune.method": ["none", "magnitude"], "prune.ratio": DOCUMENT["space"]["prune.ratio"]},
        search=searching(trials=4),
        confirm={"teachers": 1, "seeds": 1},
    )
    assert set(watching.states) == {"complete"}
    table = read_study(tmp_path / "small")
    assert {row.epochs_teacher for row in table.rows if row.teacher_model} == {0}
    assert "magnitude" in {row.best.prune_method for row in ranking.rows}
