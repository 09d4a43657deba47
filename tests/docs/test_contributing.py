"""The recipes of CONTRIBUTING.md work when followed to the letter."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"Write `(pdsearch/\S+/yours\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^python -m pytest (tests/contracts/\S+) -k yours$", re.MULTILINE)

# A mistake in each: one score for a whole layer, one loss an image.
MISTAKES = {
    "pdsearch/pruning/methods/yours.py": ("size / size.mean()", "size.mean() / size.mean()"),
    "pdsearch/distillation/losses/yours.py": (".sum(dim=1).mean()", ".sum(dim=1)"),
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The package and its contract tests, as a contributor would have them."""
    for folder in ("pdsearch", "tests/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def recipes() -> tuple[dict[str, str], list[str]]:
    """Each file the recipes write, and the tests they run."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return dict(FILE.findall(text)), COMMAND.findall(text)


def run_contracts(clone: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    options = ["-k", "yours", "-p", "no:cacheprovider", "-q", "-rA"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *tests, *options],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )


def test_both_recipes_are_found() -> None:
    files, tests = recipes()
    assert files.keys() == MISTAKES.keys()
    assert [(ROOT / test).exists() for test in tests] == [True, True]


def test_what_the_recipes_write_passes_its_contract(clone: Path) -> None:
    files, tests = recipes()
    for name, code in files.items():
        (clone / name).write_text(code)
    done = run_contracts(clone, tests)
    assert done.returncode == 0, done.stdout
    for test in tests:
        assert re.search(rf"PASSED {re.escape(test)}::\S+\[yours\S*\]", done.stdout), done.stdout


def test_what_is_written_wrongly_does_not(clone: Path) -> None:
    files, tests = recipes()
    for name, code in files.items():
        right, wrong = MISTAKES[name]
        assert right in code
        (clone / name).write_text(code.replace(right, wrong))
    done = run_contracts(clone, tests)
    assert done.returncode == 1, done.stdout
    for test in tests:
        assert re.search(rf"FAILED {re.escape(test)}::\S+\[yours\S*\]", done.stdout), done.stdout
