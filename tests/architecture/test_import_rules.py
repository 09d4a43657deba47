"""Each import contract of pyproject.toml, which `make lint` checks, can break."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import ROOT, pyproject
from tests.patient import PATIENCE_S

RULES = pyproject()["tool"]["importlinter"]["contracts"]
CONTRACTS = {rule["id"]: rule["name"] for rule in RULES}
LINT = "from importlinter.cli import lint_imports_command as run; run()"

# What breaks each contract, in a file of its own; through a second file where the contract follows indirect imports.
BREACHES = {
    "nouns": {"errors.py": "import numpy"},
    "ray": {"analysis/uses_ray.py": "def f():\n    import ray"},
    "optuna": {"cluster/uses_optuna.py": "import optuna"},
    "pydantic": {"pipeline/uses_pydantic.py": "from pydantic import BaseModel"},
    "science": {
        "models/searches.py": "import pdsearch.indirectly",
        "indirectly.py": "import pdsearch.search",
    },
    "rooms": {"pruning/distils.py": "import pdsearch.between", "between.py": "import pdsearch.distillation"},
    "models": {"models/trains.py": "import pdsearch.training"},
    "stages": {"pipeline/starts_ray.py": "import pdsearch.cluster"},
    "store": {"artifacts/computes.py": "import pdsearch.tensors", "tensors.py": "import torch"},
    "storage": {"io/knows.py": "import pdsearch.meaning", "meaning.py": "import pdsearch.artifacts"},
    "invariants": {"search/verify.py": "import pdsearch.trains", "trains.py": "import pdsearch.training"},
    "analysis": {"analysis/computes.py": "import pdsearch.tensors"},
}


def test_each_import_rule_can_break(tmp_path: Path) -> None:
    """All of them at once, for a graph of all imports takes seconds: each contract has to name its own breach."""
    assert BREACHES.keys() == CONTRACTS.keys()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "pdsearch", tmp_path / "pdsearch", ignore=shutil.ignore_patterns("__pycache__"))
    for files in BREACHES.values():
        for name, code in files.items():
            with (tmp_path / "pdsearch" / name).open("a", encoding="utf-8") as file:
                file.write(f"\n{code}\n")
    command = [sys.executable, "-c", LINT, "--no-cache"]
    wide = {**os.environ, "COLUMNS": "200"}  # No name is broken over two lines.
    done = subprocess.run(command, cwd=tmp_path, env=wide, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1, done.stderr
    plain = re.sub(r"\x1b\[\d+m", "", done.stdout)  # import-linter before 2.7 always colours.
    parts = re.split(r"^(.+)\n-{3,}\n", plain.partition("Broken contracts")[2], flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    for contract, files in BREACHES.items():
        breach = next(iter(files)).removesuffix(".py").replace("/", ".")
        assert f"pdsearch.{breach} -> " in told[CONTRACTS[contract]], contract


def test_every_room_of_science_and_every_edge_has_a_rule() -> None:
    free = {"cli", "cluster", "search", "config", "exporting"}  # what may import nearly all the others
    ruled = {
        module.removeprefix("pdsearch.")
        for rule in RULES
        for module in rule.get("source_modules", []) + rule.get("modules", [])
    }
    rooms = {path.parent.name for path in (ROOT / "pdsearch").glob("*/__init__.py")}
    assert rooms <= ruled | free, f"give {rooms - ruled - free} a contract in pyproject.toml"
