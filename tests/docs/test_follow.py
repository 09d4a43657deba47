"""The first hour works when followed to the letter, and what is followed of a page is what a reader would do."""

import os
import shlex
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.docs.follow import blocks, follow
from tests.end_to_end.program import call
from tests.patient import PATIENCE_S


def test_files_are_written_commands_run_and_installation_left_out() -> None:
    page = (
        "<!-- not followed -->\n```sh\npip install x\n```\n\nWrite `a/b.py`:\n\n```python\nx = 1\n```\n"
        "Then:\n\n```sh\nls\n```\n```text\nb.py\n```\n\nAs in `a/b.py`, for example:\n\n```yaml\nkey: 1\n```\n"
    )
    assert list(blocks(page)) == [("a/b.py", "x = 1\n"), ("sh", "ls\n")]


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs" / "tutorials").glob("*.md")), ids=lambda path: path.stem
)
def test_a_tutorial_names_the_command_that_follows_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert f"`python -m tests.docs.follow {page.relative_to(ROOT)}`" in text
    assert any(kind == "sh" for kind, _ in blocks(text))


DEMO = """
import re, sys
from pathlib import Path
from pdsearch.cli.main import main
from pdsearch.cli.verbs import demo

text = (demo.files("pdsearch.cli") / demo.NAME).read_text(encoding="utf-8")
for long, short in {
    r"epochs: \\d+(.*?), milestones: \\[[^]]*\\]": r"epochs: 2\\1",
    "min_epochs: 6": "min_epochs: 1",
    "trials: 24": "trials: 4",
    "teachers: 3, seeds: 5": "teachers: 1, seeds: 2",
}.items():
    text, found = re.subn(long, short, text)
    assert found, long
Path("short").mkdir()
Path("short", demo.NAME).write_text(text, encoding="utf-8")
demo.files = lambda _package: Path("short")
sys.exit(main(["demo"]))
"""
"""`pdsearch demo`, with less to train."""


@pytest.mark.slow
@pytest.mark.ray
def test_the_first_hour(tmp_path: Path) -> None:
    """What starts no Ray runs in this process, which has loaded everything already."""

    def quickly(kind: str, text: str) -> bool:
        if text == "pdsearch demo\n":
            command, path = [sys.executable, "-c", DEMO], {"PYTHONPATH": str(ROOT)}
            subprocess.run(command, cwd=tmp_path, env=os.environ | path, check=True, timeout=PATIENCE_S)
        elif kind == "python":
            with chdir(tmp_path):
                exec(text, {})
        elif "pdsearch doctor" in text:
            return False
        else:
            for line in text.splitlines():
                words = shlex.split(line)
                if words[0] == "pdsearch":
                    call(tmp_path, *words[1:])
                else:
                    subprocess.run(["bash", "-euc", line], cwd=tmp_path, check=True)
        return True

    follow(ROOT / "docs" / "first_hour.md", tmp_path, within=1500, instead=quickly)  # below a test's time-out
    assert list(tmp_path.glob("best/*/student.onnx"))
