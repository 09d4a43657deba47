"""`pdsearch --help` and `import pdsearch` load none of the heavy libraries."""

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import ROOT
from tests.patient import PATIENCE_S

# Not pydantic: typer itself loads it to check what was typed.
HEAVY = {"torch", "torchvision", "ray", "optuna", "sklearn", "scipy", "pandas", "pyarrow"}


WORDS = {"--help": 0, "--version": 0, "mistyped": 2}


def loaded_by(statement: str, *, first_on_path: Path = ROOT) -> set[str]:
    """The heavy libraries a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint('LOADED', *({HEAVY} & sys.modules.keys()))"
    path = os.pathsep.join([str(first_on_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_nothing_heavy_is_loaded() -> None:
    statements = ["import pdsearch, pdsearch.specs, pdsearch.errors, pdsearch.registry"]
    statements += ["from pdsearch.cli.main import main"]
    statements += [f"assert main([{word!r}]) == {code}" for word, code in WORDS.items()]
    assert loaded_by("\n".join(statements)) == set()


def test_a_space_of_our_own_networks_is_read_without_torchvision() -> None:
    statement = "from pdsearch.config import load; load('search_spaces/digits.yaml')"
    assert "torchvision" not in loaded_by(f"import os; os.chdir({str(ROOT)!r}); {statement}")


def test_what_is_loaded_is_found(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    assert loaded_by("import torch", first_on_path=tmp_path) == {"torch"}
