"""Resolution of dotted names, and the errors for those that name nothing."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.user_code import is_dotted, load_dotted, source_folder, source_hash
from tests.own_code import Author


def test_a_colon_makes_a_name_dotted() -> None:
    assert is_dotted("a.b:c")
    assert not is_dotted("torchvision/resnet18")


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
        ("import nothing_of_the_kind\n", "big", "ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
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
