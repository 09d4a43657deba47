"""The recipes of CONTRIBUTING.md work when followed to the letter."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = re.compile(r"Write `(pdsearch/\S+/yours\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^python -m pytest (tests/contracts/\S+) -k yours$", re.MULTILINE)

# A mistake in each: one score for a whole layer, one loss an image.
MISTAKES = {
    "pdsearch/pruning/methods/yours.py": ("size / size.mean()", "size.mean() / size.mean()"),
    "pdsearch/distillation/losses/yours.py": (".sum(dim=1).mean()", ".sum(dim=1)"),
}


def recipes() -> tuple[dict[str, str], list[str]]:
    """Each file the recipes write, and the tests they run."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return dict(FILE.findall(text)), COMMAND.findall(text)


def test_what_the_recipes_write_passes_its_contract_and_what_is_written_wrongly_does_not(
    tmp_path: Path,
) -> None:
    """In the package and its contract tests as a contributor would have them."""
    files, tests = recipes()
    assert files.keys() == MISTAKES.keys()
    for folder in ("pdsearch", "tests/contracts"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, code in files.items():
        (tmp_path / name).write_text(code)
        right, wrong = MISTAKES[name]
        assert right in code
        wrongly = code.replace(right, wrong).replace('"yours"', '"yours_wrongly"')
        (tmp_path / name.replace("yours", "yours_wrongly")).write_text(wrongly)
    options = ["-k", "yours", "-p", "no:cacheprovider", "-q", "-rA"]
    command = [sys.executable, "-m", "pytest", *tests, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert len(tests) == len(files)
    for test in tests:
        found = re.findall(
            rf"^(PASSED|FAILED|ERROR) {re.escape(test)}::\S+\[(yours\w*)\S*\]", done.stdout, re.MULTILINE
        )
        assert {how for how, name in found if name == "yours"} == {"PASSED"}, done.stdout
        assert ("FAILED", "yours_wrongly") in found, done.stdout
