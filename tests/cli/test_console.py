import importlib
import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pdsearch.cli import console
from pdsearch.cli.main import main
from pdsearch.errors import ConfigError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def on_terminal(action: Callable[[], object]) -> str:
    screen = Terminal()
    with redirect_stdout(screen), redirect_stderr(screen):
        action()
    return screen.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def assert_ends_well(words: list[str]) -> None:
    assert main(words) == 0


ERROR = ConfigError("no such [method]", where="space.yaml:3:5", hint="known: magnitude")


def test_an_error_off_a_terminal_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_error(ERROR)
    assert capsys.readouterr().err == "pdsearch: space.yaml:3:5: no such [method]\n  -> known: magnitude\n"


def test_an_error_on_a_terminal_is_coloured_and_never_read_as_markup() -> None:
    text = on_terminal(lambda: console.print_error(ERROR))
    assert "\x1b[" in text
    for part in ("no such [method]", "space.yaml:3:5", "known: magnitude"):
        assert part in text


def test_an_error_from_the_user_s_code_shows_their_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faulty_nets.py").write_text(
        "def build():\n    return inner()\n\n\ndef inner():\n    return 1 / 0\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ZeroDivisionError) as caught:
        importlib.import_module("faulty_nets").build()
    wrapped = ConfigError("the network fails", where="student.model")
    wrapped.__cause__ = caught.value.with_traceback(caught.tb.tb_next)  # Without this test's own frame.
    console.print_error(wrapped)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "pdsearch: student.model: the network fails",
        "    faulty_nets.py:2, in build: return inner()",
        "    faulty_nets.py:6, in inner: return 1 / 0",
    ]


def test_errors_that_caused_one_another_are_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ConfigError("first"), ConfigError("second")
    first.__cause__, second.__cause__ = second, first
    console.print_error(first)
    assert capsys.readouterr().err == "pdsearch: first\n"


def test_a_table_off_a_terminal_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(("name", "what"), [("kd", "x" * 300)])
    assert capsys.readouterr().out == f"name\twhat\nkd\t{'x' * 300}\n"


def test_a_table_on_a_terminal_is_drawn() -> None:
    rows = [("kd", "[red] is text")]
    text = on_terminal(lambda: console.print_table(("name", "what"), rows, title="Losses"))
    assert "Losses" in text
    assert "[red] is text" in text
    assert "\t" not in text


def test_a_narrow_terminal_shows_every_column_in_parts_that_repeat_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    columns, rows = ("first", "second", "the third", "last"), [("a", "b", "c", "d")]
    text = on_terminal(lambda: console.print_table(columns, rows, title="Letters", repeat=1))
    heads = [re.findall(r"first|second|third|last", line) for line in text.splitlines() if "first" in line]
    assert heads == [["first", "second"], ["first", "third", "last"]]
    assert text.count("Letters") == 1


def test_a_ranking_on_a_narrow_terminal_is_one_table_that_says_what_it_leaves_out(
    study_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = plain(on_terminal(lambda: assert_ends_well(["rank", str(study_folder)])))
    assert len(re.findall("rank.*vs unpruned", text)) == 1
    told = r"Too narrow here for: .*trials, full \(epochs\)\. `pdsearch rank --detail`"
    assert re.search(told, " ".join(text.split()))
    assert max(map(len, text.splitlines())) <= 80
    whole = plain(on_terminal(lambda: assert_ends_well(["rank", str(study_folder), "--detail"])))
    assert "Too narrow" not in whole
    assert len(re.findall("│ rank|┃ rank", whole)) > 1


def test_a_terminal_too_narrow_for_any_part_shows_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    columns, rows = ("a" * 18, "b" * 18, "c" * 18), [("1", "2", "3")]
    text = on_terminal(lambda: console.print_table(columns, rows, repeat=2))
    assert {"1", "2", "3"} <= set(text)


def test_lines_off_a_terminal_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_lines(["a" * 200, "[b]"])
    assert capsys.readouterr().out == "a" * 200 + "\n[b]\n"


def test_a_note_goes_beside_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_note("look")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "look\n")
