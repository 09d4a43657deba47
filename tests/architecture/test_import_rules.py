"""The import contracts of pyproject.toml hold, and each of them can break."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, pyproject
from tests.patient import PATIENCE_S

RULES = pyproject()["tool"]["importlinter"]["contracts"]
CONTRACTS = {rule["id"]: rule["name"] for rule in RULES}
LINT = "from importlinter.cli import lint_imports_command as run; run()"

# For each contract, a file that breaks it; through a second file where the contract follows indirect imports.
BREACHES = {
    "nouns": {"errors.py": "import numpy"},
    "ray": {"analysis/breach.py": "def f():\n    import ray"},
    "optuna": {"cluster/breach.py": "import optuna"},
    "pydantic": {"pipeline/breach.py": "from pydantic import BaseModel"},
    "science": {"models/breach.py": "import pdsearch.breach", "breach.py": "import pdsearch.search"},
    "rooms": {"pruning/breach.py": "import pdsearch.through", "through.py": "import pdsearch.distillation"},
    "models": {"models/breach.py": "import pdsearch.training"},
    "stages": {"pipeline/breach.py": "import pdsearch.cluster"},
    "store": {"artifacts/breach.py": "import pdsearch.through", "through.py": "import torch"},
    "storage": {"io/breach.py": "import pdsearch.through", "through.py": "import pdsearch.artifacts"},
    "invariants": {
        "verify.py": "import pdsearch.through",
        "through.py": "import pdsearch.training",
    },
    "analysis": {"analysis/breach.py": "import pdsearch.through", "through.py": "import torch"},
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def test_all_import_rules_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("breached")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "pdsearch", folder / "pdsearch", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize("contract", CONTRACTS)
def test_each_import_rule_can_break(contract: str, copy: Path) -> None:
    files = {copy / "pdsearch" / name: f"\n{code}\n" for name, code in BREACHES[contract].items()}
    before = {path: path.read_text() if path.exists() else None for path in files}
    try:
        for path, code in files.items():
            path.write_text((before[path] or "") + code)
        done = lint(copy)
    finally:
        for path, text in before.items():
            path.unlink() if text is None else path.write_text(text)
    assert done.returncode == 1
    assert f"{CONTRACTS[contract]} BROKEN" in " ".join(done.stdout.split())


def test_every_room_of_science_and_every_edge_has_a_rule() -> None:
    free = {"cli", "cluster", "search", "config", "exporting"}  # what may import nearly all the others
    ruled = {
        module.removeprefix("pdsearch.")
        for rule in RULES
        for module in rule.get("source_modules", []) + rule.get("modules", [])
    }
    rooms = {path.parent.name for path in (ROOT / "pdsearch").glob("*/__init__.py")}
    assert rooms <= ruled | free, f"give {rooms - ruled - free} a contract in pyproject.toml"
