"""The log lines of a run."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pdsearch.cli.progress.lines import JsonLines, Lines
from pdsearch.cli.progress.stats import PHASES, describe
from pdsearch.protocol import Progress, Report
from tests.cli.scripted_run import show
from tests.pipeline.digits import DENSE, job

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
    monkeypatch.setattr("pdsearch.cli.progress.lines.time.monotonic", lambda: now[0])
    stream, teacher = io.StringIO(), job(DENSE, id="teacher-00aa11bb22cc", kind="teacher")
    with Lines(stream) as lines:
        lines.started(teacher)
        for epoch in range(1, 7):
            now[0] += 25
            lines.event(teacher, Progress("teacher", "teacher", epoch=epoch, epochs=8, val_accuracy=0.5))
        now[0] += 60
        lines.event(teacher, Report(epoch=1, epochs=4, val_accuracy=0.25, loss=1.0))
    assert stream.getvalue().splitlines() == [
        f"[   75.0 s] {teacher.id}  {describe(teacher)}  teacher  epoch 3/8  val 50.00 %",
        f"[  150.0 s] {teacher.id}  {describe(teacher)}  teacher  epoch 6/8  val 50.00 %",
        f"[  210.0 s] {teacher.id}  {describe(teacher)}  distill  epoch 1/4  val 25.00 %",
    ]


def objects() -> list[dict[str, Any]]:
    stream = io.StringIO()
    with JsonLines(stream) as lines:
        show(lines)
        lines.say("stopping")
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_every_json_line_is_an_object_that_says_what_it_is() -> None:
    found = objects()
    kinds = {item["event"] for item in found}
    assert kinds == {"phase", "started", "progress", "ready", "report", "ended", "note"}
    assert found[0] == {"event": "phase", "phase": "groundwork", "total": 2, "done": 0}
    assert {"id", "kind", "params"} <= next(item for item in found if item["event"] == "started").keys()


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
