"""Does a file's name say what is in it, and does a package only hand on names?"""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import modules, parse

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff"}

# A package that hands on a heavy name may do so when it is asked for (module __getattr__, PEP 562).
LAZY = {"__getattr__", "__dir__"}


@pytest.mark.parametrize("path", modules("pdsearch", "tests", "benchmarks"), ids=str)
def test_a_file_is_named_after_its_question(path: Path) -> None:
    assert not {*path.with_suffix("").parts} & SAYS_NOTHING


@pytest.mark.parametrize("path", modules("pdsearch"), ids=str)
def test_a_file_opens_with_its_question(path: Path) -> None:
    assert ast.get_docstring(parse(path)), f"{path} has no docstring"


@pytest.mark.parametrize("path", [p for p in modules("pdsearch") if p.name == "__init__.py"], ids=str)
def test_a_package_only_hands_on_names(path: Path) -> None:
    for node in parse(path).body:
        assert hands_on(node), f"{path}:{node.lineno} belongs into a file of its own"


def hands_on(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) and target.id.startswith("__") for target in node.targets)
    if isinstance(node, ast.FunctionDef):
        return node.name in LAZY
    if isinstance(node, ast.If):
        return ast.unparse(node.test).endswith("TYPE_CHECKING")
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name) and node.target.id.startswith("_")
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


@pytest.mark.parametrize(
    "code", ["def helper(): ...", "class A: ...", "for x in y: print(x)", "limit = 3", "if x:\n    pass"]
)
def test_logic_in_a_package_is_seen(code: str) -> None:
    assert not hands_on(ast.parse(code).body[0])
