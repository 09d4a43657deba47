"""The programs of examples/compare/ run as their reader would run them."""

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
    # A Ray that a script starts by itself writes a token into the home folder.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    command = [sys.executable, "-W", "ignore", f"with_{way}.py", "--trials", "2"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found, judged = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert found["trials"] == 2
    assert 0 < found["best"] <= 1
    assert len(judged["test"]) == 2
