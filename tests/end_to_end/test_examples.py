"""Every example runs as its reader would run it, in a folder of its own."""

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
import torch

from pdsearch import load_preprocess, load_student
from tests.architecture.tree import ROOT
from tests.end_to_end.program import call

EXAMPLES = ROOT / "examples"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A reader's folder, whose modules do not stay importable."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = {*sys.modules}
    yield tmp_path
    for name in {*sys.modules} - known:
        if name.startswith("my_") or name == "prune_then_distill":
            del sys.modules[name]


def test_the_method_by_hand(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(EXAMPLES / "prune_then_distill.py", folder)
    example = importlib.import_module("prune_then_distill")
    monkeypatch.setattr(example, "EPOCHS", 1)
    monkeypatch.setattr(example, "SEEDS", range(2))
    example.main("runs")
    printed = capsys.readouterr().out
    assert "pruned by 59%" in printed
    assert "on average of 2 seeds" in printed


def test_a_search_over_own_parts(folder: Path) -> None:
    for name in ("my_space.yaml", "my_data.py", "my_loss.py", "my_pruning.py", "my_sampler.py"):
        shutil.copy(EXAMPLES / name, folder)
    fields = [f"train.{part}.epochs=1" for part in ("teacher", "recover", "distill")]
    words = [word for field in (*fields, "confirm.seeds=2") for word in ("--set", field)]
    call(folder, "run", "my_space.yaml", "--serial", *words)
    assert "my_pruning:score" in call(folder, "rank", "runs/my-parts", "--format", "csv")[0]


@pytest.mark.parametrize(
    ("name", "shape"), [("convolutions", (2, 64)), ("encoder", (2, 64)), ("table", (13,))]
)
def test_a_search_on_inputs_that_are_no_images(name: str, shape: tuple[int, ...], folder: Path) -> None:
    for file in ("my_signals.py", "my_table.py", f"my_{name}.yaml"):
        shutil.copy(EXAMPLES / file, folder)
    if name == "table":
        importlib.import_module("my_table").write()
    call(folder, "run", f"my_{name}.yaml", "--serial")
    call(folder, "export", f"runs/my-{name}", "--out", "best", "--onnx")
    (best,) = (folder / "best").iterdir()
    inputs = torch.randn(5, *shape)
    with torch.no_grad():
        ours = load_student(best)(load_preprocess(best)(inputs))
    session = onnxruntime.InferenceSession(best / "student.onnx", providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["logits"], {"inputs": inputs.numpy()})
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-3, atol=1e-3)
    card = (best / "card.md").read_text(encoding="utf-8")
    assert f"inputs: float32 (any number, {', '.join(map(str, shape))})" in card


def test_the_notebook(folder: Path) -> None:
    cells = json.loads((EXAMPLES / "search.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    here = f"SPACE, STORAGE, OUT = {str(ROOT / 'search_spaces' / 'digits.yaml')!r}, 'runs', 'best'"
    quick = [
        f"train.{part}.{field}"
        for part in ("teacher", "recover", "distill")
        for field in ("epochs=1", "milestones=[]")
    ]
    quick += ["search.stop=off", "search.trials=2"]
    lines = "\n".join([here, *code[1:]])
    assert '["search.trials=6"' in lines
    exec(lines.replace('["search.trials=6"', f"{quick} + ['precision=fp32'"), {})
    assert list((folder / "best").glob("*/student.safetensors"))
