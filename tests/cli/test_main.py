"""The command line: its verbs, their help, and how errors end it."""

import os
import subprocess
import sys
import types

import pytest
import typer

from pdsearch import __version__
from pdsearch.cli import main as command_line
from pdsearch.cli.main import VERBS, main
from pdsearch.errors import ConfigError


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A verb `act` whose function a test sets."""
    module = types.ModuleType("acting")
    monkeypatch.setitem(sys.modules, "acting", module)
    monkeypatch.setitem(VERBS, "act", ("acting:act", "Act."))
    return module


def set_action(module: types.ModuleType, error: BaseException | None = None) -> None:
    def act(loud: bool = False) -> None:
        print("acted", loud)
        if error is not None:
            raise error

    module.__dict__["act"] = act


def test_help_names_every_verb_and_loads_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(target: str) -> None:
        raise AssertionError(f"{target} was loaded")

    monkeypatch.setattr(command_line, "_load", refuse)
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pdsearch {__version__}\n"


def test_the_asked_verb_runs_with_its_options(
    verb: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    set_action(verb)
    assert main(["act", "--loud"]) == 0
    assert capsys.readouterr().out == "acted True\n"


@pytest.mark.parametrize("words", [["act"], ["act", "--debug"], ["--debug", "act"]])
def test_a_traceback_is_shown_on_request_before_the_message(
    verb: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.setenv("PDSEARCH_TRACEBACK", "" if "--debug" in words else "1")
    set_action(verb, ConfigError("a"))
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback")
    assert shown.endswith("pdsearch: a\n")


@pytest.mark.parametrize("words", [["-h"], ["act", "-h"], ["act", "--help"]])
def test_help_gives_switches_no_type(
    verb: types.ModuleType, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    set_action(verb)
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "-h" in text
    assert "bool" not in text


@pytest.mark.parametrize(
    ("words", "complete"), [("pdsearch exp", "export"), ("pdsearch run --ser", "--serial")]
)
def test_a_shell_completes_verbs_and_options(words: str, complete: str) -> None:
    asking = {"_PDSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", "pdsearch"], capture_output=True, text=True, env={**os.environ, **asking}
    )
    assert (done.stdout.split(), done.stderr) == ([complete], "")


def test_a_defect_keeps_its_traceback(verb: types.ModuleType) -> None:
    set_action(verb, ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        main(["act"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()], ids=["anywhere", "at a question"])
def test_an_interrupt_ends_with_130(verb: types.ModuleType, error: BaseException) -> None:
    set_action(verb, error)
    assert main(["act"]) == 130


@pytest.mark.parametrize("words", [["acr"], ["act", "--lod"], ["act", "surplus"], ["--nonsense"], []])
def test_a_mistyped_command_line_ends_with_2(
    verb: types.ModuleType, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    set_action(verb)
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_can_be_loaded_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"pdsearch {name}" in capsys.readouterr().out
