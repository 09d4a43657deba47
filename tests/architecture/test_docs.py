"""The documents' code compiles, their links lead to files, and the commands and exit codes they name exist."""

import re
from pathlib import Path

import pytest

from pdsearch.cli.main import VERBS
from tests.architecture.tree import ROOT, committed
from tests.test_errors import KINDS

DOCUMENTS = [path for path in committed() if path.suffix == ".md"]
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


def blocks(path: Path, language: str) -> list[str]:
    return [
        code for kind, code in FENCE.findall((ROOT / path).read_text(encoding="utf-8")) if kind == language
    ]


def test_python_code_compiles() -> None:
    for path in DOCUMENTS:
        for number, code in enumerate(blocks(path, "python"), start=1):
            compile(code, f"{path}, python block {number}", "exec")


def test_links_lead_to_files() -> None:
    links = (
        (path, target) for path in DOCUMENTS for target in LINK.findall((ROOT / path).read_text("utf-8"))
    )
    assert not [f"{path}: {target}" for path, target in links if not (ROOT / path.parent / target).exists()]


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_commands_that_work_from_a_clone(command: str) -> None:
    shell = "\n".join(blocks(Path("README.md"), "sh"))
    assert command in shell
    assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_files_that_architecture_names_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    named = {
        name for name in re.findall(r"`([\w/]+\.(?:py|toml|txt))`", text) if not name.endswith("yours.py")
    }
    files = [f"/{path.as_posix()}" for path in committed()]
    assert {name for name in named if not any(file.endswith(f"/{name}") for file in files)} == {"utils.py"}


def test_verbs_in_shell_blocks_exist() -> None:
    shell = "\n".join(block for path in DOCUMENTS for block in blocks(path, "sh"))
    assert set(re.findall(r"^(?:\$ )?pdsearch ([a-z]\w*)", shell, re.MULTILINE)) <= set(VERBS)


def test_every_exit_code_is_documented() -> None:
    rows = re.findall(r"^\| (\d+) \| `?(\w+)?`?", (ROOT / "docs/exit_codes.md").read_text(), re.MULTILINE)
    documented = {(int(code), name) for code, name in rows}
    ours = {(kind.exit_code, kind.__name__) for kind in KINDS}
    assert ours == {row for row in documented if row[1]}


def test_every_document_is_in_the_index() -> None:
    """Pages of a folder that has a page of its own, as methods/ has methods.md, are in that one."""
    for path in (path for path in DOCUMENTS if path.parts[0] == "docs" and path.name != "README.md"):
        above = ROOT / path.parent.with_suffix(".md")
        index = above if len(path.parts) > 2 and above.exists() else ROOT / "docs/README.md"
        link = path.relative_to(index.parent.relative_to(ROOT)).as_posix()
        assert f"({link})" in index.read_text(encoding="utf-8"), path
