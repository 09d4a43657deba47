"""Can a file be read in one sitting, a function at one glance?"""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, Function, functions, modules

FILE_LINES = 400
FUNCTION_LINES = 50


def length(function: Function) -> int:
    """Lines from `def` to the end; a docstring is free, so that no one is tempted to shorten it."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", modules("pdsearch", "tests", "benchmarks"), ids=str)
def test_files_and_functions_are_short(path: Path) -> None:
    lines = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES, f"{path} has {lines} lines; split it by question"
    for function in functions(path):
        assert length(function) <= FUNCTION_LINES, f"{path}:{function.lineno} {function.name} is too long"


def test_length_counts_code_and_not_the_docstring() -> None:
    (function,) = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    return a\n').body
    assert isinstance(function, ast.FunctionDef)
    assert length(function) == 3
