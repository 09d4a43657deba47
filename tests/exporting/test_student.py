"""An exported student is rebuilt from its file alone, and refuses files and images that are not its own."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pdsearch.data import normalise
from pdsearch.errors import ConfigError, DataError, StorageError
from pdsearch.exporting import Card, load_preprocess, load_student, read_card, save_student
from pdsearch.exporting.student_file import STUDENT_FILE
from pdsearch.input_spec import InputSpec
from pdsearch.models import build

CARD = Card(
    "convnet_s", (("widths", (2, 4)),), ("a", "b", "c"), InputSpec((1, 8, 8)), (70.1,), (33.3,), "0" * 64
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_student(tmp_path / STUDENT_FILE, _model().state_dict(), CARD)
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


def test_floats_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="float32"):
        load_preprocess(folder)(torch.zeros(4, 1, 8, 8))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=STUDENT_FILE):
        load_student(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a student", b"\xff" * 64])
def test_a_broken_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STUDENT_FILE).write_bytes(content)
    with pytest.raises(StorageError, match="not an exported student"):
        load_student(tmp_path)


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pdsearch student 1"}, {"format": "other", "student": "{}"}]
)
def test_weights_of_another_kind(folder: Path, metadata: dict[str, str] | None) -> None:
    save_file(load_file(folder / STUDENT_FILE), folder / STUDENT_FILE, metadata=metadata)
    with pytest.raises(StorageError, match="not an exported student"):
        load_student(folder)


def test_weights_that_do_not_fit(folder: Path) -> None:
    save_student(folder / STUDENT_FILE, _model().state_dict(), replace(CARD, classes=("a", "b")))
    with pytest.raises(StorageError, match="do not fit convnet_s"):
        load_student(folder)


def test_a_model_that_is_not_known_here(folder: Path) -> None:
    save_student(folder / STUDENT_FILE, _model().state_dict(), replace(CARD, model="os.system"))
    with pytest.raises(ConfigError, match="unknown model"):
        load_student(folder)


def test_the_file_is_as_readable_as_its_folder(folder: Path) -> None:
    mode = stat.S_IMODE((folder / STUDENT_FILE).stat().st_mode)
    assert mode == stat.S_IMODE(folder.stat().st_mode) & 0o666


def test_the_card_is_json_in_the_header(folder: Path) -> None:
    content = (folder / STUDENT_FILE).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert json.loads(header["__metadata__"]["student"])["classes"] == ["a", "b", "c"]
