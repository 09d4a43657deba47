"""Has every file with logic a test file? tests/<room>/test_<file>.py for pdsearch/<room>/<file>.py."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, functions, modules, parse

# Files without a mirror, and why.
EXCEPTIONS: dict[str, str] = {}

# Folders whose every file is found and tested, without being named, by a contract test.
CONTRACTS = {
    "pdsearch/pruning/methods": "tests/contracts",
    "pdsearch/distillation/losses": "tests/contracts",
    "pdsearch/models/families": "tests/contracts",
    "pdsearch/data/sources": "tests/contracts",
    "pdsearch/data/augmentations": "tests/contracts",
}

NOT_LOGIC = {"__init__.py", "__main__.py"}


def has_logic(path: Path) -> bool:
    """Something is decided in the file: a function has more than a docstring and one statement."""
    declares = path.name == "registry.py" and len(path.parts) > 2  # a room's protocol and its decorator
    return (
        not declares
        and path.name not in NOT_LOGIC
        and any(len(_code(function.body)) > 1 for function in functions(path))
    )


def _code(body: list[ast.stmt]) -> list[ast.stmt]:
    return [
        node for node in body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def mirror(path: Path) -> Path:
    return Path("tests", *path.parts[1:-1], f"test_{path.name}")


def is_tested(path: Path) -> bool:
    if (ROOT / mirror(path)).exists():
        return True
    contract = CONTRACTS.get(path.parent.as_posix())
    return contract is not None and any((ROOT / contract).glob("test_*.py"))


@pytest.mark.parametrize("path", [path for path in modules("pdsearch") if has_logic(path)], ids=str)
def test_logic_has_a_test_file(path: Path) -> None:
    if path.as_posix() not in EXCEPTIONS:
        assert is_tested(path), f"write {mirror(path)}, or give the reason in {Path(__file__).name}"


def test_an_exception_is_needed_and_has_a_reason() -> None:
    for name, reason in EXCEPTIONS.items():
        assert (ROOT / name).exists(), f"{name} is gone"
        assert not is_tested(Path(name)), f"{name} has a test file by now"
        assert reason


@pytest.mark.parametrize("path", [*modules("tests"), *modules("pdsearch")], ids=str)
def test_every_file_says_something(path: Path) -> None:
    assert parse(path).body, f"{path} is empty"
