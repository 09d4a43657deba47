"""A stream that is closed, full, gone or ASCII alone is no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.program import environment
from tests.patient import PATIENCE_S

SAY = """
import sys
from pdsearch.cli import main as command_line
from pdsearch.cli.console import note, print_lines
class Verb:
    @staticmethod
    def act():
        note("72.00 \\u00b1 4.97 beside")
        print_lines(["72.00 \\u00b1 4.97"] * 2000)
command_line._load = lambda _target: Verb.act
sys.exit(command_line.main(["rank"]))
"""
"""A verb that writes more than a buffer holds, and signs that ASCII has not."""


def said(redirection: str, folder: Path, **variables: str) -> tuple[int, str, str]:
    """Run the verb in a shell, with a redirection; return its code and what it said."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, SAY],
        cwd=folder,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_what_nobody_takes_is_dropped(redirection: str, tmp_path: Path) -> None:
    code, out, _ = said(redirection, tmp_path)
    assert code == 0
    assert out.startswith("72.00") or ">&-" in redirection


def test_results_that_cannot_be_written_are_a_message(tmp_path: Path) -> None:
    code, _, error = said(">/dev/full", tmp_path)
    assert code == 74
    assert "pdsearch: the output cannot be written: No space left on device" in error


def test_what_is_closed_is_not_what_the_next_file_gets(tmp_path: Path) -> None:
    script = "import os; from pdsearch.cli.streams import prepare; prepare(); print(os.open('x', os.O_CREAT))"
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" <&- 2>&-', sys.executable, script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 2


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-5"])
def test_a_sign_that_an_encoding_lacks_is_spelled(encoding: str, tmp_path: Path) -> None:
    code, out, error = said("", tmp_path, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert code == 0
    lines = [*out.splitlines(), *error.splitlines()]
    assert set(lines) == {"72.00 +/- 4.97", "72.00 +/- 4.97 beside"}


def test_a_terminal_that_is_gone_is_no_error(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    script = "from pdsearch.cli.streams import prepare; prepare(); input(); import sys; print('x', file=sys.stderr)"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        os.close(ours)
        out, _ = process.communicate(b"\n", timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, b"")
