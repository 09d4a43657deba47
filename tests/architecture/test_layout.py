"""Names, layout, sizes and texts of files."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, Function, committed, functions, modules, parse

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


FILE_LINES = 400
FUNCTION_LINES = 50


def length(function: Function) -> int:
    """Lines from `def` to the end; a docstring is free, so that no one is tempted to shorten it."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_files_are_short() -> None:
    lines = {
        path: len((ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in modules("pdsearch", "tests", "benchmarks")
    }
    assert not {path: count for path, count in lines.items() if count > FILE_LINES}


def test_functions_are_short() -> None:
    every = (
        (path, function)
        for path in modules("pdsearch", "tests", "benchmarks")
        for function in functions(path)
    )
    long = [f"{path}:{f.lineno} {f.name}" for path, f in every if length(f) > FUNCTION_LINES]
    assert not long


def test_length_counts_code_and_not_the_docstring() -> None:
    (function,) = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n').body
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 3


# Put together from pieces, so that this file does not hold what it forbids.
HOME_PATH = re.compile(
    r"(?<![\w.$}~-])/(?:" + "|".join(["ho" + "me", "ro" + "ot", "Us" + "ers"]) + r")/[\w.]"
)
HOSTS = [
    r"pypi\.(?:o" + "rg|py)",
    "pythonho" + "sted",
    "download" + r"\.pytorch",
    "anac" + r"onda\.(?:com|org)",
]
REGISTRY = re.compile("|".join(HOSTS))
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
CONFLICT = re.compile("^(?:" + "<" * 7 + "|" + ">" * 7 + ") ", re.MULTILINE)
FORBIDDEN = {
    "home path": HOME_PATH,
    "registry host": REGISTRY,
    "unfinished": UNFINISHED,
    "unresolved conflict": CONFLICT,
}

BREACHES = {
    "home path": ["see /ho" + "me/ann/x", "'/ro" + "ot/.cache'"],
    "registry host": ["https://py" + "pi.org/simple", "files.pythonho" + "sted.org"],
    "unfinished": ["# TO" + "DO: later"],
    "unresolved conflict": ["a\n" + "<" * 7 + " HEAD\nb", ">" * 7 + " main"],
}
HARMLESS = {
    "home path": ["~/data", "$HOME/data", "s3://bucket/home/x", "docs/home/index.md"],
    "registry host": ["a registry", "pypi"],
    "unfinished": ["todos", "METHODS_TODONE"],
    "unresolved conflict": ["a << b", ">>> 1 + 1", "<" * 30],
}


@cache
def text_of(path: Path) -> str:
    content = (ROOT / path).read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


@pytest.mark.parametrize("name", FORBIDDEN)
def test_committed_files_hold_none_of_what_is_forbidden(name: str) -> None:
    texts = ((path, text_of(path)) for path in committed())
    breaches = [(path, match) for path, text in texts if (match := FORBIDDEN[name].search(text))]
    assert not [f"{path} line {match.string[: match.start()].count(chr(10)) + 1}" for path, match in breaches]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_each_pattern_sees_what_it_forbids_and_nothing_else(name: str) -> None:
    assert all(FORBIDDEN[name].search(text) for text in BREACHES[name])
    assert not any(FORBIDDEN[name].search(text) for text in HARMLESS[name])


def test_committed_files_are_small() -> None:
    assert not [path for path in committed() if (ROOT / path).stat().st_size > 1_000_000]
