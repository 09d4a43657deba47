"""A student from its file: rebuilt, fed, and measured."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

from pdsearch.analysis.study_table import read_study
from pdsearch.artifacts import Store
from pdsearch.data.dataset.views import centre_crop, normalise
from pdsearch.data.registry import sources
from pdsearch.errors import ConfigError, DataError, StorageError
from pdsearch.exporting.student_file import (
    STUDENT_FILE,
    Card,
    Preprocess,
    load_preprocess,
    load_student,
    read_card,
    save_network,
)
from pdsearch.exporting.trained import trained_student, trained_teacher
from pdsearch.input_spec import InputSpec
from pdsearch.models import build
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import dataset
from pdsearch.specs import DataSpec
from tests.some import some

CARD = Card(
    "convnet_s", (("widths", (2, 4)),), ("a", "b", "c"), InputSpec((1, 8, 8)), (70.1,), (33.3,), "0" * 64
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_network(tmp_path / STUDENT_FILE, _model().state_dict(), CARD)
    return tmp_path


def _model() -> torch.nn.Module:
    return build("convnet_s", num_classes=3, input_shape=(1, 8, 8), seed=1, options=CARD.options)


def test_the_same_answers_come_out(folder: Path) -> None:
    images, student = torch.rand(5, 1, 8, 8), load_student(folder)
    assert not student.training
    assert torch.equal(student(images), _model().eval()(images))
    assert read_card(folder) == CARD


def test_preprocess_is_the_trainings_own(folder: Path) -> None:
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    expected = normalise(images, torch.tensor([70.1]), torch.tensor([33.3]))
    assert torch.equal(load_preprocess(folder)(images), expected)


@pytest.mark.parametrize("shape", [(4, 1, 8, 9), (4, 3, 8, 8), (1, 8, 8)])
def test_other_images_are_refused(folder: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"wants torch\.uint8 \(any number, \d, "):
        load_preprocess(folder)(torch.zeros(shape, dtype=torch.uint8))


def test_an_image_is_read_as_validation_read_it(tmp_path: Path) -> None:
    """Upright, in the channels of its set, resized and cropped: the same bits from a path, a Pillow image, an array."""
    random, files = np.random.default_rng(0), tmp_path / "a"
    (tmp_path / "b").mkdir()
    files.mkdir()
    for number, (mode, size, turn) in enumerate(
        [
            ("RGB", (21, 14), 6),
            ("L", (9, 9), 1),
            ("RGBA", (12, 30), 3),
            ("P", (12, 12), 1),
            ("RGB", (33, 40), 1),
        ]
    ):
        exif = Image.Exif()
        exif[0x0112] = turn
        pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(files / f"{number}.png", exif=exif)
    shutil.copy(files / "0.png", tmp_path / "b" / "0.png")
    spec = DataSpec(
        source="image_folder",
        root=str(tmp_path),
        val_fraction=0.0,
        test_fraction=0.5,
        options=(("image_size", 12),),
    )
    raw = sources.get(spec.source).read(replace(spec, fingerprint=sources.get(spec.source).fingerprint(spec)))
    seen = torch.from_numpy(raw.train_images[np.arange(5)])
    mean, std = torch.tensor([70.1, 80.2, 90.3]), torch.tensor([33.3, 44.4, 55.5])
    whole = Preprocess(InputSpec((3, 12, 12)), mean, std)
    middle = Preprocess(InputSpec((3, 7, 7)), mean, std, stored=(12, 12))
    for number in range(5):
        path = files / f"{number}.png"
        expected = normalise(seen[number : number + 1], mean, std)
        image = Image.open(path)
        assert torch.equal(whole(path), expected)
        assert torch.equal(whole(str(path)), expected)
        assert torch.equal(whole(image), expected)
        assert torch.equal(whole(image), expected), "the caller's image is not changed"
        assert torch.equal(middle(path), centre_crop(expected, 7))
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        assert torch.equal(whole(upright), expected)
    assert torch.equal(whole(seen.numpy()), normalise(seen, mean, std))


def test_images_of_more_than_8_bits_have_the_scale_of_their_set(tmp_path: Path) -> None:
    values = np.array([[0, 16], [2048, 4095]], np.uint16)
    dark = values // 16
    for name, pixels in (("a", values), ("b", dark)):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    spec = DataSpec(source="image_folder", root=str(tmp_path), val_fraction=0.25, test_fraction=0.25)
    spec = replace(spec, fingerprint=sources.get(spec.source).fingerprint(spec))
    store = Store(tmp_path / "store")
    list(dataset(spec, WorkerContext(store, tmp_path / "progress")))
    ((_, key),) = store.entries("data")
    entry = some(store.find("data", key))
    assert entry.meta["largest"] == [4095.0, 0.0]
    read = Preprocess(InputSpec((1, 2, 2)), torch.zeros(1), torch.ones(1), largest=(4095.0, 0.0))
    assert read(tmp_path / "b" / "0.png").flatten().tolist() == [0, 0, 8, 16]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nothing.png", r"nothing\.png: the image cannot be read: No such file"),
        (Image.new("I;16", (8, 8)), "mode I;16, not 8 bits a channel"),
        (np.zeros((8, 8)), "a float64 array is no image"),
        (np.zeros((8, 8, 7), np.uint8), r"an array \(8, 8, 7\) is no image"),
        (3, "a int is no image"),
    ],
)
def test_what_is_no_image_is_refused(folder: Path, given: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_preprocess(folder)(given)


def test_other_inputs_are_normalised_whatever_their_shape() -> None:
    preprocess = Preprocess(InputSpec((2, 5), "float32"), torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
    assert torch.equal(preprocess(np.ones((3, 2, 5), np.float32))[:, :, 0], torch.tensor([[0.0, -0.25]] * 3))
    with pytest.raises(DataError, match="no images"):
        preprocess("row.png")


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    for number in range(8):  # safetensors draws the order of its metadata anew at each call
        (tmp_path / str(number)).mkdir()
        save_network(tmp_path / str(number) / STUDENT_FILE, _model().state_dict(), CARD)
    assert len({(tmp_path / str(number) / STUDENT_FILE).read_bytes() for number in range(8)}) == 1


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=STUDENT_FILE):
        load_student(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a student", b"\xff" * 64])
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STUDENT_FILE).write_bytes(content)
    with pytest.raises(StorageError, match="not an exported student"):
        load_student(tmp_path)


MISTYPED = [json.dumps({**CARD.as_json(), name: -1}) for name in ("options", "widths", "classes", "mean")]


@pytest.mark.parametrize("format", ["pdsearch student 1", "other", None])
@pytest.mark.parametrize("card", [None, "{}", *MISTYPED])
def test_weights_of_another_kind(folder: Path, format: str | None, card: str | None) -> None:
    about = {name: text for name, text in (("format", format), ("student", card)) if text is not None}
    save_file(load_file(folder / STUDENT_FILE), folder / STUDENT_FILE, metadata=about or None)
    with pytest.raises(StorageError, match="not an exported student"):
        load_student(folder)


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / STUDENT_FILE)
    with pytest.raises(StorageError, match="is a FIFO, not a file"):
        load_student(tmp_path)


def test_weights_that_do_not_fit(folder: Path) -> None:
    save_network(folder / STUDENT_FILE, {n: w.int() for n, w in _model().state_dict().items()}, CARD)
    with pytest.raises(StorageError, match=r"do not fit convnet_s: .* is torch\.int32, not torch\.float32"):
        load_student(folder)
    save_network(folder / STUDENT_FILE, _model().state_dict(), replace(CARD, classes=("a", "b")))
    with pytest.raises(StorageError, match="do not fit convnet_s"):
        load_student(folder)


def test_a_model_that_is_not_known_here(folder: Path) -> None:
    save_network(folder / STUDENT_FILE, _model().state_dict(), replace(CARD, model="os.system"))
    with pytest.raises(ConfigError, match="unknown model"):
        load_student(folder)


def test_a_stopped_trial_has_no_student_and_one_that_nobody_taught_no_teacher(study: Path) -> None:
    row = next(row for row in read_study(study).rows if row.kind == "confirm")
    store = Store(study.parent / "artifacts")
    assert trained_student(replace(row, student_artifact=None), store) is None
    with pytest.raises(ConfigError, match="no teacher to export"):
        trained_teacher(replace(row, teacher_key=None), store)
