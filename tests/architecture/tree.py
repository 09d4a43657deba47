"""The project's own files, modules and functions, for the tests of its structure."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def committed() -> tuple[Path, ...]:
    """Every file git tracks, relative to ROOT; without git, every file outside hidden folders.

    What lies in the clone untracked (a report, a data set) is somebody's own and no rule's business.
    """
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached"]
    try:
        names = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.split("\0")
        found = [Path(name) for name in names if name]
    except (OSError, subprocess.CalledProcessError):
        found = [p for p in (path.relative_to(ROOT) for path in ROOT.rglob("*")) if not _hidden(p)]
    return tuple(sorted(path for path in found if (ROOT / path).is_file()))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in {"__pycache__", "runs"} for part in path.parts)


def modules(*folders: str) -> list[Path]:
    """The Python files under the folders, relative to ROOT."""
    return [path for path in committed() if path.suffix == ".py" and path.parts[0] in folders]


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file relative to ROOT."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a file, nested ones included."""
    return (node for node in ast.walk(parse(path)) if isinstance(node, Function))


def imported(path: Path) -> set[str]:
    """The top-level names a file imports, wherever in the file the import stands."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@cache
def pyproject() -> dict[str, Any]:
    """pyproject.toml, parsed."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
