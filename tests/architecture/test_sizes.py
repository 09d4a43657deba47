"""Limits on the length of files and functions."""

import ast

from tests.architecture.tree import ROOT, Function, functions, modules

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
