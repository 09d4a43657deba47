"""A study's time adds up over its runs."""

import time
from pathlib import Path

import pytest

from pdsearch.io.studies import elapsed
from pdsearch.search.study import Clock


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_seconds_add_up_over_runs(tmp_path: Path, moment: list[float]) -> None:
    first = Clock(tmp_path / "elapsed.json")
    moment[0] += 7
    assert first.seconds() == 7
    first.save()
    moment[0] += 1000  # Nobody works on the study.
    second = Clock(tmp_path / "elapsed.json")
    moment[0] += 5
    assert second.seconds() == 12


def test_a_killed_driver_loses_seconds_not_hours(tmp_path: Path, moment: list[float]) -> None:
    killed = Clock(tmp_path / "elapsed.json")
    for _ in range(3600):
        moment[0] += 1
        killed.seconds()
    assert 3590 <= Clock(tmp_path / "elapsed.json").seconds() <= 3600


@pytest.mark.parametrize(
    "content",
    [
        *(
            "",
            "{",
            "{}",
            "[]",
            '{"seconds": "x"}',
            '{"seconds": null}',
            '{"seconds": -1}',
            '{"seconds": 1e999}',
        ),
        *('{"seconds": 9, "phase": []}', '{"seconds": 9, "phase": {"name": "search", "began_at": "today"}}'),
        '{"seconds": 9, "phase": {"name": "search", "total": 1e999}}',
    ],
)
def test_a_broken_file_begins_at_zero(tmp_path: Path, moment: list[float], content: str) -> None:
    assert moment
    (tmp_path / "elapsed.json").write_text(content)
    assert Clock(tmp_path / "elapsed.json").seconds() == 0
    assert elapsed(tmp_path / "elapsed.json").phase.name == ""


def test_gpu_time_counts_each_job_s_share_over_runs(tmp_path: Path, moment: list[float]) -> None:
    first = Clock(tmp_path / "elapsed.json", gpu=0.5)
    first.busy("a", True)
    moment[0] += 10
    first.busy("a", True)  # Another sign of life.
    first.busy("b", True)
    moment[0] += 20
    first.busy("a", False)
    first.busy("never began", False)
    assert first.gpu_seconds() == 0.5 * (30 + 20)
    first.close()
    moment[0] += 1000
    second = Clock(tmp_path / "elapsed.json", gpu=1.0)
    second.busy("c", True)
    moment[0] += 4
    assert second.gpu_seconds() == 25 + 4
