"""A name means one thing: files, classes and functions that others can see are called alike in one place only."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pdsearch

PACKAGE = Path(pdsearch.__file__).parent
VERBS = PACKAGE / "cli" / "verbs"
"""Verbs of the command line have the names of what they call."""

SAME_MEANING = {
    "builder": "of torchvision's networks and of timm's",
    "usual_size": "likewise, and of both",
    "weights_name": "likewise",
    "run": "all of a study's work, on Ray and in one process",
    "main": "of what is run as a script",
    "__init__": "of a package",
    "registry": "of the parts of one kind",
    "random": "a method and a sampler, as a space file names them",
}


def modules() -> Iterator[Path]:
    """Yield the files of the package, without verbs."""
    return (file for file in sorted(PACKAGE.rglob("*.py")) if VERBS not in file.parents)


def twice(places: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the names that stand in several places."""
    return {name: found for name, found in places.items() if len(found) > 1 and name not in SAME_MEANING}


def test_no_two_files_have_the_same_name() -> None:
    places = defaultdict(list)
    for file in modules():
        places[file.stem].append(str(file.relative_to(PACKAGE)))
    assert not twice(places)


def test_no_two_classes_or_functions_have_the_same_name() -> None:
    places = defaultdict(list)
    for file in modules():
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                places[node.name].append(str(file.relative_to(PACKAGE)))
    assert not twice(places)
