"""A student as ONNX says what the student says, for any number of images, and anything else is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.exporting import onnx_file
from pdsearch.exporting.bundle import export_study
from pdsearch.exporting.onnx_file import save_onnx
from pdsearch.exporting.student_file import (
    STUDENT_FILE,
    Card,
    load_network,
    load_preprocess,
    load_student,
    read_card,
    save_network,
)
from pdsearch.input_spec import InputSpec
from pdsearch.models import bounded, build
from tests.patient import PATIENCE_S

ROOT = Path(__file__).parents[2]


def saved(folder: Path, model: str) -> Path:
    network = build(model, num_classes=3, input_shape=(3, 32, 32), seed=0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as if trained: logits of fresh networks are nearly the same
            nn.init.uniform_(module.weight, 0.5, 2.0)
    card = Card(
        model,
        (),
        ("cat", "dog", "emu"),
        InputSpec((3, 32, 32)),
        (120.0, 110.0, 100.0),
        (60.0, 61.0, 62.0),
        "k",
    )
    save_network(folder / STUDENT_FILE, network.state_dict(), card)
    return folder / STUDENT_FILE


def test_it_says_what_the_student_says(tmp_path: Path) -> None:
    assert save_onnx(saved(tmp_path, "resnet8")) < 1e-4
    onnx.checker.check_model(onnx.load(tmp_path / "student.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "student.onnx", providers=["CPUExecutionProvider"])
    student, preprocess = load_student(tmp_path), load_preprocess(tmp_path)
    for batch in (1, 5):
        images = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
        (theirs,) = session.run(["logits"], {"images": images.numpy()})
        with torch.no_grad():
            ours = student(preprocess(images)).numpy()
        np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4 * np.abs(ours).max())
    about = json.loads(session.get_modelmeta().custom_metadata_map["student"])
    assert about["classes"] == ["cat", "dog", "emu"]


def test_an_export_has_it_and_its_card_says_so(study: Path, tmp_path: Path) -> None:
    (one,) = export_study(study, tmp_path, onnx=True, teacher=True)
    card = (one.folder / "card.md").read_text()
    for name in ("student.onnx", "teacher.onnx"):
        assert str(ROOT).encode() not in (one.folder / name).read_bytes()
        assert f"`{name}`" in card


def test_two_processes_write_equal_bytes(study: Path, tmp_path: Path) -> None:
    arguments = [str(study), "--out", str(tmp_path / "theirs"), "--onnx"]
    command = [sys.executable, "-m", "pdsearch", "export", *arguments]
    again = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"})
    (ours,) = export_study(study, tmp_path / "ours", onnx=True)
    assert again.wait(PATIENCE_S) == 0
    for name in (STUDENT_FILE, "student.onnx", "card.md"):
        theirs = tmp_path / "theirs" / ours.folder.name / name
        assert theirs.read_bytes() == (ours.folder / name).read_bytes(), name


def test_a_missing_package_is_named_before_anything_is_written(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="onnxruntime") as caught:
        export_study(study, tmp_path, onnx=True)
    assert "pdsearch[onnx]" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


def test_a_network_that_computes_something_else_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, real = saved(tmp_path, "resnet8"), onnx_file._images

    def other(card: Card, batch: int) -> Tensor:
        if batch == 3:  # the network that was exported is no longer the one it is compared with
            nn.init.zeros_(next(iter(whole[0].parameters())))
        return real(card, batch)

    whole: list[nn.Module] = []

    def kept(path: Path) -> tuple[nn.Module, Card]:
        network, card = load_network(path)
        whole.append(network)
        return network, card

    monkeypatch.setattr(onnx_file, "_images", other)
    monkeypatch.setattr(onnx_file, "load_network", kept)
    with pytest.raises(PdsearchError, match="something else"):
        save_onnx(weights)


class Branching(nn.Module):
    """A network whose path depends on its images."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, images: Tensor) -> Tensor:
        pooled = images.mean((2, 3))
        logits: Tensor = self.linear(pooled if float(pooled.sum()) > 0 else -pooled)
        return logits


def test_a_network_that_cannot_be_written_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = saved(tmp_path, "resnet8")
    card = read_card(tmp_path)
    monkeypatch.setattr(onnx_file, "load_network", lambda _: (Branching().eval(), card))
    with pytest.raises(PdsearchError, match=r"cannot be written as ONNX: its forward decides by the values"):
        save_onnx(weights)
    monkeypatch.setattr(bounded, "MEMORY", 0)
    monkeypatch.setattr(bounded, "COPIES", 0)
    with pytest.raises(PdsearchError, match="following its code takes more than 0 GB of memory"):
        save_onnx(weights)
