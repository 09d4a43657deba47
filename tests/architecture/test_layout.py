"""Names and layout: plain file names, documented modules, packages that only re-export, tests for each sub-package."""

import ast

import pytest

from tests.architecture.tree import modules, parse

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "stuff"}

# A package that hands on a heavy name may do so when it is asked for (module __getattr__, PEP 562).
LAZY = {"__getattr__", "__dir__"}


def test_file_names_say_something() -> None:
    paths = modules("pdsearch", "tests", "benchmarks")
    assert not [path for path in paths if {*path.with_suffix("").parts} & SAYS_NOTHING]


def test_every_module_has_a_docstring() -> None:
    assert not [path for path in modules("pdsearch") if not ast.get_docstring(parse(path))]


def test_packages_only_re_export() -> None:
    packages = [path for path in modules("pdsearch") if path.name == "__init__.py"]
    own = [(path, node.lineno) for path in packages for node in parse(path).body if not re_exports(node)]
    assert not own, "this code belongs into a file of its own"


def test_every_sub_package_has_tests() -> None:
    tested = {path.parts[1] for path in modules("tests") if len(path.parts) > 2}
    packages = {path.parts[1] for path in modules("pdsearch") if len(path.parts) > 2}
    assert packages <= tested


def re_exports(node: ast.stmt) -> bool:
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
    assert not re_exports(ast.parse(code).body[0])
