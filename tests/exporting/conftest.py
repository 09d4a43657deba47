"""A real study to export from, the smallest there can be: one teacher, one round of pruning, two students."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.artifacts import open_store
from pdsearch.config import Space, parse
from pdsearch.driver import run_serially
from pdsearch.exporting.bundle import export_study
from pdsearch.observer import Observer
from pdsearch.pipeline.context import WorkerContext
from pdsearch.search.study import open_as_driver
from tests.on_disk import on_disk

RECIPE = {"epochs": 1, "lr": 0.05, "batch_size": 64}


def run(space: Space) -> Path:
    """Run a space to its end, here and now; return the study's folder."""
    torch.set_num_threads(1)
    with open_as_driver(space, Observer()) as study:
        run_serially(study.scheduler, WorkerContext(open_store(study.artifacts), study.progress))
        return on_disk(study.folder)


def small(storage: Path) -> dict[str, Any]:
    """Return the document of the space."""
    return {
        "study": "small",
        "data": {"source": "digits", "val_fraction": 0.2, "subset": 200},
        "teacher": {"model": "convnet_s"},
        "student": {"model": "convnet_s", "options": {"widths": [4, 4]}},
        "train": {"teacher": RECIPE, "recover": RECIPE, "distill": RECIPE},
        "prune": {"method": "magnitude", "schedule": "one_shot"},
        "space": {"prune.ratio": [0.5]},
        "search": {"trials": 1},
        "confirm": {"teachers": 1, "seeds": 1},
        "precision": "fp32",
        "storage": str(storage),
    }


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished study."""
    return run(parse(small(tmp_path_factory.mktemp("storage"))))


@pytest.fixture(scope="module")
def exported(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (one,) = export_study(study, tmp_path_factory.mktemp("out"))
    return one.folder
