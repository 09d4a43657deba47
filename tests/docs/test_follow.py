"""The first hour works when followed to the letter, and what is followed of a page is what a reader would do."""

from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.docs.follow import blocks, follow


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


@pytest.mark.slow
@pytest.mark.ray
def test_the_first_hour(tmp_path: Path) -> None:
    follow(ROOT / "docs" / "first_hour.md", tmp_path, within=1500)  # below a test's time-out
    assert list(tmp_path.glob("best/*/student.onnx"))
