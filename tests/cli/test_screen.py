"""The live screen shows what runs, how far it is, and what has ended."""

import io
import re

import pytest
from rich.console import Console, ConsoleDimensions

from pdsearch.cli.progress.screen import Screen
from pdsearch.protocol import Progress, Report
from tests.cli.scripted_run import show
from tests.pipeline.digits import SPEC, job


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
        for number in range(trials):
            running = job(SPEC, id=f"search-{number:05d}")
            screen.started(running)
            screen.event(running, Progress("prune", "magnitude round 1 of 2", 3, 6, 0.25))
        lines = [
            "".join(part.text for part in line) for line in console.render_lines(screen._render(), pad=False)
        ]
        assert max(map(len, lines)) <= width
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
