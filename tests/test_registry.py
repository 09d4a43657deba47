"""Registries find their parts: by importing a package, and by the entry points of installed ones."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.registry import Registry, parameter
from tests.architecture.tree import ROOT
from tests.patient import PATIENCE_S


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    """A registry whose package holds two modules that register one entry each."""
    package = tmp_path / "some_parts"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pdsearch.registry import Registry\nparts = Registry('part', 'some_parts')"
    )
    for name in ("wheel", "axle"):
        code = f"from some_parts import parts\nparts.add({name!r})({name.upper()!r})"
        (package / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("some_parts").parts
    for name in [name for name in sys.modules if name.startswith("some_parts")]:
        del sys.modules[name]


def test_entries_are_found_by_importing_the_package(parts: Registry[str]) -> None:
    assert parts.names() == ["axle", "wheel"]
    assert list(parts) == ["axle", "wheel"]
    assert parts.get("wheel") == "WHEEL"
    assert "axle" in parts
    assert "door" not in parts


def test_an_unknown_name_lists_the_known_ones_and_the_nearest(parts: Registry[str]) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown part 'whel'\n.*did you mean 'wheel'\? known: axle, wheel"
    ):
        parts.get("whel")


def test_a_name_is_registered_once(parts: Registry[str]) -> None:
    assert "wheel" in parts
    with pytest.raises(ValueError, match="'wheel' is registered twice"):
        parts.add("wheel")("another")


def test_a_parameter_carries_its_range() -> None:
    field = parameter(2.0, help="how much", low=1, high=4, log=True)
    assert field.default == 2.0
    ranged = {"help": "how much", "low": 1, "high": 4, "choices": None, "log": True, "later": False}
    assert dict(field.metadata) == ranged


PLUGIN = """
from dataclasses import dataclass
from pdsearch.pruning.registry import pruning_method

@pruning_method("from_a_plugin")
def score(model, batches, generator, params):
    \"\"\"Score all weights alike: score = 1.\"\"\"
"""
LISTED = """
from pdsearch.pruning.registry import methods
print(methods.own_name("from_a_plugin"), methods.own_name("snip"))
"""


def installed(folder: Path, module: str) -> None:
    """Lay out a package as pip installs one: a module, and metadata that names it as a plug-in."""
    about = folder / "prunes-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: prunes\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pdsearch.plugins]\nprunes = prunes\n")
    (folder / "prunes.py").write_text(module)


def run_beside(folder: Path, code: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


def test_an_installed_package_adds_parts_which_are_known_by_their_file(tmp_path: Path) -> None:
    installed(tmp_path, PLUGIN)
    done = run_beside(tmp_path, LISTED)
    assert done.stdout.split() == ["prunes:score", "None"], done.stderr


def test_a_plug_in_that_fails_is_named(tmp_path: Path) -> None:
    installed(tmp_path, "1 / 0")
    done = run_beside(tmp_path, LISTED)
    assert "the plug-in 'prunes' cannot be loaded: ZeroDivisionError" in done.stderr
    assert "mend or uninstall the package prunes" in done.stderr
