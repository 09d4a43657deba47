"""Parts that are found by name, their parameters, and own code by dotted path."""

import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError
from pdsearch.registry import NoParams, Registry, make_params, parameter
from pdsearch.user_code import declared_by, load_dotted, source_folder, source_hash, takes_others
from tests.architecture.tree import ROOT
from tests.own_code import Author
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


LISTED_TWICE = """
from pdsearch.data.registry import augmentations
from pdsearch.pruning.registry import methods
for registry in (augmentations, methods):
    try:
        registry.names()
    except Exception as error:
        print(error)
"""
TAKES_A_NAME = PLUGIN.replace("from_a_plugin", "snip")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (f"{PLUGIN}\n1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        (TAKES_A_NAME, "ValueError: pruning method 'snip' is registered twice"),
    ],
)
def test_a_plug_in_that_fails_is_named_whichever_parts_are_asked_for(
    tmp_path: Path, module: str, reason: str
) -> None:
    installed(tmp_path, module)
    done = run_beside(tmp_path, LISTED_TWICE)
    said = f"the plug-in 'prunes' cannot be loaded: {reason}"
    assert done.stdout.count(said) == done.stdout.count("uninstall the package prunes") == 2, done.stderr


@dataclass(frozen=True)
class Example:
    weight: float = parameter(0.5, help="a share", low=0.0, high=1.0)
    rounds: int = parameter(3, help="a count", low=1, high=9)
    mode: str = parameter("a", help="a choice", choices=("a", "b"))
    flag: bool = parameter(False, help="a switch", choices=(False, True))
    free: str = parameter("x", help="anything")


def test_names_set_fields_and_the_rest_keeps_its_default() -> None:
    assert make_params(Example, (("mode", "b"), ("weight", 1))) == Example(weight=1, mode="b")
    assert make_params(Example, (("flag", True), ("free", "y"))) == Example(flag=True, free="y")
    assert make_params(NoParams, ()) == NoParams()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", 1.5, r"weight: must be in \[0.0, 1.0\], got 1.5"),
        ("weight", float("nan"), "weight: must be in"),
        ("weight", "0.5", "weight: must be a number, got '0.5'"),
        ("weight", True, "weight: must be a number"),
        ("rounds", 2.5, "rounds: must be a whole number"),
        ("rounds", 10, r"rounds: must be in \[1, 9\]"),
        ("mode", "c", "mode: must be one of a, b"),
        ("flag", 1, "flag: must be one of False, True"),
        ("wieght", 1.0, r"unknown parameter 'wieght'\n  -> did you mean 'weight'\? known: weight, rounds"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make_params(Example, ((name, value),), where="distill.example")
    assert str(caught.value).startswith("distill.example: ")


def read(*parts: str, size: int = 8, grey: "bool" = False) -> None:
    """Declares two options."""


def anything(**more: Any) -> None:
    """Declares none, and takes all."""


def broken(*, size: "Nowhere" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Says what nobody can read."""


class Reader:
    """Is called as a function is."""

    def __init__(self, size: int, **more: Any) -> None:
        """Take anything."""


def test_what_is_declared_is_found_with_its_annotation() -> None:
    found = {name: argument.annotation for name, argument in declared_by(read).items()}
    assert found == {"size": int, "grey": bool}
    assert [*declared_by(partial(read, grey=True))] == ["size", "grey"]
    assert [*declared_by(anything)] == []
    assert declared_by(Reader)["size"].annotation is int
    assert declared_by(broken)["size"].annotation == "Nowhere"


def test_others_are_taken_where_the_signature_says_so() -> None:
    assert [takes_others(function) for function in (read, anything, Reader)] == [False, True, True]


def test_what_has_no_signature_says_so() -> None:
    with pytest.raises(ValueError, match="no signature"):
        declared_by(min)


def test_it_is_imported_from_where_it_was_started_and_known_by_its_file(author: Author) -> None:
    name = author.write("def f():\n    return 3\n")
    assert load_dotted(f"{name}:f")() == 3
    assert source_hash(f"{name}:f") == hashlib.sha256(b"def f():\n    return 3\n").hexdigest()


def test_its_folder_is_what_python_has_to_be_told_of(author: Author) -> None:
    name = author.write("def f():\n    return 3\n")
    package = author.folder / f"{name}_package" / "deep"
    package.mkdir(parents=True)
    (package / "nets.py").write_text("def f():\n    return 3\n")
    assert source_folder(f"{name}:f") == str(author.folder)
    assert source_folder(f"{name}_package.deep.nets:f") == str(author.folder)
    assert source_folder("torch.nn:Linear") is None


def test_a_file_that_changes_later_is_not_what_runs_here(author: Author) -> None:
    name = author.write("def f():\n    return 3\n")
    before = source_hash(f"{name}:f")
    (author.folder / f"{name}.py").write_text("def f():\n    return 4\n")
    assert (source_hash(f"{name}:f"), load_dotted(f"{name}:f")()) == (before, 3)


def test_what_a_module_passes_on_is_known_by_the_file_that_defines_it(author: Author) -> None:
    origin = author.write("def f(x, y):\n    return x + y\n")
    passing = author.write(f"from functools import partial\nfrom {origin} import f\ng = partial(f, 1)\n")
    assert source_hash(f"{passing}:g") == source_hash(f"{origin}:f")
    assert load_dotted(f"{passing}:g")(2) == 3


def test_what_lies_here_hides_nothing_that_is_installed(author: Author) -> None:
    (author.folder / "json.py").write_text("raise SystemExit\n")
    code = "from pdsearch.user_code import load_dotted; print(load_dotted('json:loads')('[1]'))"
    where = {"PYTHONPATH": str(Path(__file__).parents[1])}
    # Started as a script is: with the folder of the script first, not the current one.
    (author.folder / "bin").mkdir()
    script = author.folder / "bin" / "start.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=author.folder,
        env=where,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[1]\n"


@pytest.mark.parametrize("name", ["a:", ":f", "a.b:c.d", "a..b:c", "a/b:c", "a:b:c", "1a:b", "a b:c"])
def test_other_forms_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is not of the form package\.module:function"):
        load_dotted(name)


@pytest.mark.parametrize(
    ("text", "asked", "said"),
    [
        ("def big(): ...\n", "bog", r"has no 'bog'\n  -> did you mean 'big'\?"),
        ("big = 7\n", "big", "is no function, but a int"),
        (
            "import nothing_of_the_kind\n",
            "big",
            r"named 'nothing_of_the_kind' \(.*\n  -> install what brings",
        ),
        ("big = 7\n1 / 0\n", "big", r"ZeroDivisionError: division by zero \(.*\.py:2, in <module>: 1 / 0\)"),
        ("big = 7\nbig big\n", "big", r"SyntaxError: invalid syntax \(.*\.py:2: big big\)"),
        ("raise SystemExit('no licence')\n", "big", r"SystemExit: no licence \(.*\.py:1, in <module>: "),
        ("big = len\n", "big", "has no source file"),
    ],
)
def test_what_is_wrong_is_said(author: Author, text: str, asked: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_dotted(f"{author.write(text)}:{asked}")


def test_a_module_that_is_not_there_is_named() -> None:
    said = "cannot import nothing_here.at_all: there is no such module\n  -> it must be installed"
    with pytest.raises(ConfigError, match=said):
        load_dotted("nothing_here.at_all:f")
