"""The estimate of what a study stores is close to what it then stores."""

from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch import serial
from pdsearch.artifacts import open_store
from pdsearch.config import Space, parse
from pdsearch.data.registry import sources
from pdsearch.input_spec import InputSpec
from pdsearch.models import build, count_params
from pdsearch.pipeline.context import WorkerContext
from pdsearch.search.planning.disk import DataShape, Disk, disk, known_images
from pdsearch.search.planning.simulate import plan
from pdsearch.search.study import open_study
from pdsearch.specs import DataSpec
from tests.search.scripted_trials import DOCUMENT, Watching

PARTS: dict[str, Any] = {**DOCUMENT, "confirm": "off", "precision": "fp32", "search": {"trials": 8}}
IMAGES = DataShape(10, InputSpec((1, 8, 8)), 100, 360)
WEIGHTS = count_params(build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=0))


def made(**sections: Any) -> Space:
    return parse({**PARTS, **sections})


def stored(space: Space, images: DataShape = IMAGES) -> Disk:
    return disk(space, plan(space), images)


def test_what_is_known_of_the_digits_is_so() -> None:
    raw = sources.get("digits").read(DataSpec("digits"))
    found = DataShape(len(raw.classes), raw.inputs, len(raw.train_images), len(raw.test_images))
    assert known_images(DataSpec("digits")) == found


def test_a_subset_is_smaller_and_files_are_unknown() -> None:
    found = known_images(DataSpec("cifar100", subset=500))
    assert found == DataShape(100, InputSpec((3, 32, 32)), 500, 10_000)
    assert known_images(DataSpec("parquet", root="there")) is None


def test_sizes_of_one_grid() -> None:
    searched = {"prune.ratio": [0.2, 0.36], "distill.temperature": [1, 4]}
    found = stored(made(prune={"method": "magnitude"}, space=searched))
    assert found.data == 64 * 460
    assert found.teachers == 4 * WEIGHTS
    assert found.rounds == 2 * 5 * WEIGHTS
    # Of both ratios' teachers, and of the unpruned one.
    assert found.outputs == pytest.approx(3 * 10 * 90 * 4)
    # Four trials, one baseline, and the unpruned teacher's two.
    assert found.students == (4 + 1 + 2) * 4 * WEIGHTS
    assert found.total == found.data + found.teachers + found.rounds + found.outputs + found.students


def test_moving_views_have_outputs_of_every_epoch_up_to_the_limit() -> None:
    still, moving = (stored(made(data={"source": "digits", "augment": a})).outputs for a in ("none", "crop"))
    assert moving == pytest.approx(4 * still)
    huge = DataShape(1000, InputSpec((3, 32, 32)), 2_000_000, 50_000)
    rgb = made(data={"source": "digits", "augment": "crop"})
    assert stored(rgb, huge).outputs == 0


def test_half_precision_halves_the_outputs() -> None:
    assert stored(made(precision="bf16")).outputs * 2 == stored(made()).outputs


def test_a_loss_that_asks_no_teacher_stores_no_outputs() -> None:
    assert stored(made(distill={"loss": "ce"}, space={}, search={})).outputs == 0


@pytest.mark.parametrize(("method", "left"), [("magnitude", 0.64), ("train_on", 1.0)])
def test_a_student_shaped_by_its_teacher_is_as_large_as_what_is_left(method: str, left: float) -> None:
    space = made(
        student={"model": "from_teacher"}, prune={"method": method, "ratio": 0.36}, space={}, search={}
    )
    # The one configuration; it is compared with nothing.
    assert stored(space).students == pytest.approx(left * WEIGHTS * 4)


def test_a_study_stores_about_what_is_said(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = {"epochs": 1, "lr": 0.05, "batch_size": 32}
    searched = {"prune.ratio": [0.2, 0.36], "distill.temperature": [1, 4]}
    space = made(
        prune={"method": "magnitude"},
        teacher={"model": "convnet_m"},
        train={"teacher": recipe, "recover": recipe, "distill": recipe},
        space=searched,
        storage=str(tmp_path),
    )
    with open_study(space, Watching()) as study:
        serial.run(study.agenda, WorkerContext(open_store(study.artifacts), study.progress))
    found = sum(path.stat().st_size for path in (tmp_path / "artifacts").rglob("*.safetensors"))
    assert stored(space).total == pytest.approx(found, rel=0.15)
