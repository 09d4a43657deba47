"""Progress of a run: on a screen, as lines, and into streams that go away."""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, ConsoleDimensions

from pdsearch.cli.progress import PHASES, JsonLines, Lines, describe_job
from pdsearch.cli.screen import Screen
from pdsearch.protocol import Progress, Report
from tests.cli.scripted_run import show
from tests.end_to_end.program import environment
from tests.patient import PATIENCE_S
from tests.pipeline.digits import DENSE, SPEC, job

LONG = replace(SPEC.teacher, model="package.networks:a_large_network")


def recording() -> Console:
    return Console(file=io.StringIO(), record=True, width=140, force_terminal=True, color_system="truecolor")


def text(screen: Screen) -> str:
    """What the live part of a screen shows now."""
    console = Console(file=io.StringIO(), record=True, width=140)
    console.print(screen._render())
    return console.export_text()


def test_finished_jobs_scroll_by_with_their_end() -> None:
    console = recording()
    with Screen(console, "digits") as screen:
        show(screen)
        screen.say("stopping: [not markup]")
    lines = console.export_text()
    for words in ("search-00001", "magnitude 0.36", "val 91.25 %", "stopped at epoch 1", "failed: it broke"):
        assert words in lines
    assert "second line" not in lines
    assert re.search(r"seed 3 {2,}val 93.00 %", lines)  # However long what was tried, its end stands apart.
    assert "stopping: [not markup]" in lines


def test_what_runs_is_shown_with_its_stage_and_epoch() -> None:
    screen = Screen(recording(), "digits")
    trial = job(SPEC, id="search-00007")
    assert "starting the workers" in text(screen)
    screen.phase("search", 24, 6)
    screen.started(trial)
    assert "search-00007" in text(screen)
    screen.event(trial, Progress("prune", "magnitude round 1 of 2", 3, 6, 0.25))
    shown = text(screen)
    for words in ("digits", "search", "6/24", "magnitude round 1 of 2", "3/6", "25.00 %"):
        assert words in shown
    screen.event(trial, Report(2, 27, 0.5, 1.0))
    shown = text(screen)
    for words in ("distill", "2/27", "50.00 %", "no complete trial yet"):
        assert words in shown


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("trials", [2, 20, 200])
def test_no_line_is_wider_and_all_is_no_higher_than_the_terminal(width: int, trials: int) -> None:
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
    with Screen(console, "a study of photographs with a long name") as screen:
        show(screen)
        screen.phase("topping up", 28, 7)
        for number in range(trials):
            running = job(replace(SPEC, teacher=LONG), id=f"search-{number:05d}")
            screen.started(running)
            screen.event(running, Progress("prune", "magnitude round 1 of 2", 3, 6, 0.25))
        lines = [
            "".join(part.text for part in line) for line in console.render_lines(screen._render(), pad=False)
        ]
        assert max(map(len, lines)) <= width
        assert width < 80 or " 7/28" in lines[0]
        jobs = [line for line in lines if "round 1 of 2" in line]
        assert width < 80 or (jobs and all("3/6" in line and "25.00 %" in line for line in jobs))
        assert len(lines) < 24
        assert ("more:" in "".join(lines)) == (trials > 2)
    ended = [line for line in console.file.getvalue().splitlines() if "val 91.25 %" in line]  # type: ignore[attr-defined]
    assert ended


def test_a_narrower_terminal_leaves_nothing_of_what_was_drawn_before() -> None:
    console = Console(file=io.StringIO(), width=160, height=24, force_terminal=True)
    with Screen(console, "digits") as screen:
        show(screen)
        screen.started(job(SPEC, id="search-00007"))
        screen._live.refresh()
        before = screen._drawn[1]
        console.size = ConsoleDimensions(40, 24)
        screen._render()
        assert screen._live._live_render._shape == (40, sum(-(-cells // 40) or 1 for cells in before))


def test_the_end_of_a_run_shows_its_tally() -> None:
    screen = Screen(recording(), "digits")
    show(screen)
    shown = text(screen)
    for words in ("best 91.25 % (search-00001)", "1 failed", "1 stopped", "artifacts reused"):
        assert words in shown


GOLDEN = Path(__file__).parents[1] / "golden" / "run_lines.txt"


def plain() -> str:
    stream = io.StringIO()
    with Lines(stream) as lines:
        show(lines)
        lines.say("stopping")
    return re.sub(r"^\[ *\d+\.\d s\]", "[  time s]", stream.getvalue(), flags=re.MULTILINE)


def test_plain_lines_are_as_agreed() -> None:
    assert plain() == GOLDEN.read_text(encoding="utf-8")


def test_a_log_is_not_silent_for_longer_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pdsearch.cli.progress.time.monotonic", lambda: now[0])
    stream, teacher = io.StringIO(), job(DENSE, id="teacher-00aa11bb22cc", kind="teacher")
    with Lines(stream) as lines:
        lines.started(teacher)
        for epoch in range(1, 7):
            now[0] += 25
            lines.event(teacher, Progress("teacher", "teacher", epoch=epoch, epochs=8, val_accuracy=0.5))
        now[0] += 60
        lines.event(teacher, Report(epoch=1, epochs=4, val_accuracy=0.25, loss=1.0))
    assert stream.getvalue().splitlines() == [
        f"[   75.0 s] {teacher.id}  {describe_job(teacher)}  teacher  epoch 3/8  val 50.00 %",
        f"[  150.0 s] {teacher.id}  {describe_job(teacher)}  teacher  epoch 6/8  val 50.00 %",
        f"[  210.0 s] {teacher.id}  {describe_job(teacher)}  distill  epoch 1/4  val 25.00 %",
    ]


def objects() -> list[dict[str, Any]]:
    stream = io.StringIO()
    with JsonLines(stream) as lines:
        show(lines)
        lines.say("stopping")
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_end_is_what_the_record_says() -> None:
    ended = {item["id"]: item for item in objects() if item["event"] == "ended"}
    assert ended["search-00002"]["state"] == "stopped"
    assert ended["search-00002"]["values"] == {"student.val_accuracy": 0.5}
    assert ended["teacher-00aa11bb22cc"]["values"] == {"teacher.val_accuracy": 0.95}


def test_every_event_and_every_field_of_it_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/events.md").read_text(encoding="utf-8")
    _, *parts = re.split(r"^## `(\w+)`\n", page, flags=re.MULTILINE)
    described = {
        kind: set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
        for kind, text in zip(parts[::2], parts[1::2], strict=True)
    }
    assert described == {item["event"]: item.keys() - {"event"} for item in objects()}
    assert all(f"`{phase}`" in page for phase in PHASES)


SAY = """
import sys
from pdsearch.cli import main as command_line
from pdsearch.cli.console import print_lines, print_note
class Verb:
    @staticmethod
    def act():
        print_note("72.00 \\u00b1 4.97 beside")
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
    script = "import os; from pdsearch.cli.main import prepare; prepare(); print(os.open('x', os.O_CREAT))"
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


def test_paths_are_in_utf8_whatever_the_locale(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pdsearch", "verify", "rüns/t"],
        cwd=tmp_path,
        env={**environment(), "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pdsearch: r?ns/t: ")  # One sign, not its two bytes; printed in ASCII.


def test_a_terminal_that_is_gone_is_no_error(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    script = (
        "from pdsearch.cli.main import prepare; prepare(); input(); import sys; print('x', file=sys.stderr)"
    )
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
