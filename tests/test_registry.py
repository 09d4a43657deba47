import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.registry import Registry, parameter


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
