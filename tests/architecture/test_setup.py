"""Dependencies, pins and the commands that install them agree with what the code imports."""

import importlib.metadata
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT, imported, modules, pyproject

PROJECT = pyproject()["project"]
DECLARED = [Requirement(text) for text in PROJECT["dependencies"]]
OPTIONAL = {
    extra: [found for text in texts if (found := Requirement(text)).name != "pdsearch"]
    for extra, texts in PROJECT["optional-dependencies"].items()
}
DEV = OPTIONAL.pop("dev")
EXTRAS = [requirement for extra in OPTIONAL.values() for requirement in extra]
LINES = (ROOT / "constraints.txt").read_text().splitlines()
PINS = dict(line.partition("==")[::2] for line in LINES if not line.startswith("#"))

# Distributions that another one brings, pinned to it, and documents as its own.
PART_OF = {"pydantic_core": "pydantic"}


@cache
def brought() -> Mapping[str, list[str]]:
    """Imported name -> distributions that bring it; asked once, for it reads all file lists."""
    return importlib.metadata.packages_distributions()


def distributions(name: str) -> set[str]:
    """The distributions an imported name may come from."""
    found = brought().get(PART_OF.get(name, name), [name])
    return {canonicalize_name(distribution) for distribution in found}


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [("pdsearch", DECLARED + EXTRAS), ("tests", DECLARED + EXTRAS + DEV)],
    ids=["pdsearch", "tests"],
)
def test_what_is_imported_is_declared(folder: str, allowed: list[Requirement]) -> None:
    names = {canonicalize_name(requirement.name) for requirement in allowed} | {"pdsearch"}
    ours = sys.stdlib_module_names | {"pdsearch", "tests", "benchmarks"}
    for path in modules(folder):
        for name in imported(path) - ours:
            assert distributions(name) & names, f"{path} imports {name}; pyproject.toml lacks it"


def test_what_is_declared_is_imported() -> None:
    names = {name for path in modules("pdsearch") for name in imported(path)}
    there = {distribution for name in names for distribution in distributions(name)}
    assert not [found for found in DECLARED if canonicalize_name(found.name) not in there]


def test_every_dependency_is_pinned_to_a_version_it_allows() -> None:
    every = DECLARED + EXTRAS + DEV
    assert not [found for found in every if not found.specifier.contains(PINS[canonicalize_name(found.name)])]


def test_what_nodes_of_a_cluster_install_besides_is_pinned() -> None:
    asked = [Requirement(text) for text in importlib.metadata.requires("ray") or []]
    here = [r for r in asked if r.marker and r.marker.evaluate({"extra": "default"})]
    assert any(requirement.name == "aiohttp" for requirement in here)
    for requirement in here:
        pin = PINS[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin, prereleases=True), requirement


def test_pins_are_names_and_versions_only() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in PINS)
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in PINS.values())


def test_every_pin_is_for_the_oldest_python_that_the_project_allows() -> None:
    # 3.11.0, not the newest 3.11: a pin that wants a later one leaves pip searching without end.
    for name, version in PINS.items():
        with suppress(importlib.metadata.PackageNotFoundError):
            found = importlib.metadata.distribution(name)
            asked = found.metadata["Requires-Python"] if found.version == version else None
            assert "3.11.0" in SpecifierSet(asked or ""), f"{name}=={version} wants Python {asked}"


def test_every_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("dependencies = [") : text.index("[project.optional-dependencies]")]
    lines = [line for line in block.splitlines() if line.startswith('  "')]
    assert len(lines) == len(DECLARED)
    assert all(re.search(r'", +# \S', line) for line in lines)


@pytest.mark.parametrize("script", [".ci/run", ".ci/install"])
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert (ROOT / script).read_text().startswith("#!/usr/bin/env bash\n")


def test_continuous_integration_runs_what_a_person_runs() -> None:
    assert re.search(r"^exec make test\b", (ROOT / ".ci/run").read_text(), re.MULTILINE)
