"""The room that a study takes, the cores it asks for, and the choices the engine tells."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pdsearch.artifacts import open_store
from pdsearch.config import Space, parse
from pdsearch.data.registry import sources
from pdsearch.driver import run_serially
from pdsearch.errors import StorageError, StorageFullError
from pdsearch.input_spec import InputSpec
from pdsearch.models import build, count_params
from pdsearch.pipeline.context import WorkerContext
from pdsearch.search.planning.disk import DataShape, Disk, disk, known_images
from pdsearch.search.planning.simulate import plan
from pdsearch.search.preflight import resources as preflight
from pdsearch.search.preflight.resources import Precision, choices, crowd, room
from pdsearch.search.study import open_as_driver
from pdsearch.specs import DataSpec
from tests.faults import scripted_study
from tests.search.scripted_trials import DOCUMENT, Watching
from tests.some import some


def free(monkeypatch: pytest.MonkeyPatch, count: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))


def said(folder: Path, below: str = "") -> str | None:
    images = some(known_images(DataSpec("digits")))
    return room(scripted_study.space(folder), folder / below, images, {})


def test_enough_room_is_no_word_and_makes_the_folder(tmp_path: Path) -> None:
    assert said(tmp_path, "new") is None
    assert (tmp_path / "new").is_dir()


def test_hardly_any_room_ends_the_run_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 100e6)
    with pytest.raises(StorageFullError, match="100 MB are free; a study needs 200 MB") as caught:
        said(tmp_path)
    assert caught.value.exit_code == 75


def test_too_little_for_all_of_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 300e6)
    monkeypatch.setattr(preflight, "disk", lambda *_: SimpleNamespace(total=5e9))
    assert "may fill 5 GB, and 0.3 GB are free" in str(said(tmp_path))


def test_a_place_that_cannot_be_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        said(tmp_path, "file/runs")


def test_more_cores_than_there_are_is_said_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "cores", lambda: 2)
    assert crowd(scripted_study.space(tmp_path), 2) is None
    warning = some(crowd(scripted_study.space(tmp_path), 50))
    assert "50 trials at once with 1 cores each want 50 of 2 cores" in warning


FP32 = Precision("fp32", "auto: this CPU has no instructions for bf16")


def engine_choices(precision: Precision = FP32, **sections: Any) -> list[str]:
    return choices(parse({**DOCUMENT, "confirm": "off", **sections}), precision)


def test_the_precision_and_why() -> None:
    first = engine_choices()[0]
    assert "CPU, fp32 (auto: this CPU has no instructions for bf16), threads a trial: 1" in first
    assert (
        "GPU, bf16 (auto), channels_last"
        in engine_choices(Precision("bf16", "auto"), resources={"gpu": 1})[0]
    )


def test_a_gpu_s_steps_are_recorded_unless_the_space_says_no() -> None:
    bf16, words = Precision("bf16", "auto"), "steps captured as CUDA graphs where that is faster"
    assert engine_choices(bf16, resources={"gpu": 0.5})[0].endswith(words)
    assert words not in engine_choices(bf16, resources={"gpu": 0.5, "cuda_graphs": False})[0]
    assert words not in engine_choices(bf16)[0]


def test_outputs_are_half_as_large_in_half_the_precision() -> None:
    whole, half = (engine_choices(Precision(name, "as the space says"))[2] for name in ("fp32", "bf16"))
    assert (whole.split()[3], half.split()[3]) == ("0.0036", "0.0018")


def test_views_and_outputs_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    _, views, outputs = engine_choices(data={"source": "digits"})
    assert views == "views: all of an epoch made at once, 0.345 MB an epoch as float32"
    assert outputs.startswith("teacher's outputs: stored")
    _, views, outputs = engine_choices(data={"source": "cifar100", "augment": "crop"})
    assert views == "views: made batch by batch, 614 MB an epoch as float32"
    monkeypatch.setattr(WorkerContext, "outputs_limit_bytes", 1)
    assert "live in every epoch" in engine_choices()[2]


def test_losses_that_hear_no_logits() -> None:
    assert engine_choices(distill={"loss": "ce"}, space={})[2] == "teacher's outputs: ce wants none"
    assert "at every step" in engine_choices(distill={"loss": "attention"}, space={})[2]


def test_of_files_only_the_device_is_known() -> None:
    assert len(engine_choices(data={"source": "parquet", "root": "."})) == 1


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
    with open_as_driver(space, Watching()) as study:
        run_serially(study.scheduler, WorkerContext(open_store(study.artifacts), study.progress))
    found = sum(path.stat().st_size for path in (tmp_path / "artifacts").rglob("*.safetensors"))
    assert stored(space).total == pytest.approx(found, rel=0.15)
