"""Every example runs as its reader would run it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.patient import PATIENCE_S

EXAMPLES = ROOT / "examples"


def ran(folder: Path, *words: str) -> str:
    """Run a command in a folder and return what it printed."""
    # A Ray that a script starts by itself writes a token into the home folder.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_method_by_hand(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\n"
        "import prune_then_distill as example\n"
        "example.EPOCHS, example.SEEDS = 1, range(2)\n"
        f"example.main({str(tmp_path)!r})"
    )
    printed = ran(tmp_path, "-c", code)
    assert "pruned by 59%" in printed
    assert "on average of 2 seeds" in printed


@pytest.mark.slow
def test_a_search_over_own_parts(tmp_path: Path) -> None:
    for name in ("my_space.yaml", "my_data.py", "my_loss.py", "my_pruning.py", "my_sampler.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    words = ["-m", "pdsearch", "run", "my_space.yaml", "--serial"]
    for field in (
        "train.teacher.epochs=1",
        "train.recover.epochs=1",
        "train.distill.epochs=1",
        "confirm.seeds=2",
    ):
        words += ["--set", field]
    ran(tmp_path, *words)
    ranked = ran(tmp_path, "-m", "pdsearch", "rank", "runs/my-parts", "--format", "csv")
    assert "my_pruning:score" in ranked


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shape"), [("convolutions", (2, 64)), ("encoder", (2, 64)), ("table", (13,))]
)
def test_a_search_on_inputs_that_are_no_images(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    for file in ("my_signals.py", "my_table.py", f"my_{name}.yaml"):
        shutil.copy(EXAMPLES / file, tmp_path)
    if name == "table":
        ran(tmp_path, "my_table.py")
    ran(tmp_path, "-m", "pdsearch", "run", f"my_{name}.yaml", "--serial")
    ran(tmp_path, "-m", "pdsearch", "export", f"runs/my-{name}", "--out", "best", "--onnx")
    code = (
        "import onnxruntime, torch\n"
        "from pathlib import Path\n"
        "from pdsearch import load_preprocess, load_student\n"
        "(folder,) = Path('best').iterdir()\n"
        f"inputs = torch.randn(5, *{shape})\n"
        "ours = load_student(folder)(load_preprocess(folder)(inputs)).detach()\n"
        "session = onnxruntime.InferenceSession(folder / 'student.onnx')\n"
        "(theirs,) = session.run(['logits'], {'inputs': inputs.numpy()})\n"
        "torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-3, atol=1e-3)\n"
    )
    ran(tmp_path, "-c", code)
    (card,) = tmp_path.glob("best/*/card.md")
    assert f"inputs: float32 (any number, {', '.join(map(str, shape))})" in card.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize("way", ["tune", "optuna", "pdsearch"])
def test_the_same_search_three_ways(way: str, tmp_path: Path) -> None:
    """As it stands, with one epoch of everything."""
    folder = tmp_path / "examples" / "compare"
    shutil.copytree(EXAMPLES / "compare", folder)
    epochs = r"\b(?:12, \[6, 9\]|4, \[2\]|18, \[9, 14\])"
    for path in folder.glob("*.py"):
        code = re.sub(epochs, "1, []", path.read_text(encoding="utf-8"))
        code = re.sub(r"(== |max_t=|grace_period=)\d+", r"\g<1>1", code)
        path.write_text(code.replace("range(100, 105)", "range(100, 102)"), encoding="utf-8")
    (tmp_path / "search_spaces").mkdir()
    space = (ROOT / "search_spaces" / "digits.yaml").read_text(encoding="utf-8")
    space = re.sub(r"epochs: \d+(.*?), milestones: \[[^]]*\]", r"epochs: 1\1", space)
    (tmp_path / "search_spaces" / "digits.yaml").write_text(re.sub(r", stop: .*?\}\}\}", "}", space))
    printed = ran(folder, "-W", "ignore", f"with_{way}.py", "--trials", "2")
    found, judged = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    assert found["trials"] == 2
    assert 0 < found["best"] <= 1
    assert len(judged["test"]) == 2


@pytest.mark.slow
def test_the_notebook(tmp_path: Path) -> None:
    cells = json.loads((EXAMPLES / "search.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    here = f"SPACE, STORAGE, OUT = {str(ROOT / 'search_spaces' / 'digits.yaml')!r}, 'runs', 'best'"
    quick = [
        f"train.{part}.{field}"
        for part in ("teacher", "recover", "distill")
        for field in ("epochs=1", "milestones=[]")
    ]
    quick += ["search.stop=off", "search.trials=2"]
    lines = [here, *code[1:]]
    ran(tmp_path, "-c", "\n".join(lines).replace('["search.trials=6"', f"{quick} + ['precision=fp32'"))
    assert list((tmp_path / "best").glob("*/student.safetensors"))
