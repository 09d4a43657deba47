"""A study is opened, held by one driver, and its time is counted."""

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.artifacts import hold
from pdsearch.data.registry import sources
from pdsearch.errors import ConfigError, StorageError, StudyHeldError
from pdsearch.io.studies import elapsed
from pdsearch.search.scheduler import Clock
from pdsearch.search.study import open_as_driver
from pdsearch.specs import DataSpec
from tests.search.scripted_trials import Watching, play, searching, space


def begin(folder: Path, **sections: Any) -> None:
    with open_as_driver(space(folder, **sections), Watching()):
        pass


def records(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "small" / "trials").glob("*.finished.json")}


def test_a_storage_in_which_another_user_s_folders_are_closed_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a teacher is trained whose place nobody but that user may write to."""
    closed = tmp_path / "artifacts" / "teacher" / "3f"
    closed.mkdir(parents=True)
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and asked(path, mode))
    with pytest.raises(
        StorageError, match=r"teacher/3f: this user .* may not write here: it belongs to user"
    ):
        begin(tmp_path)
    assert not (tmp_path / "small").exists()


def test_a_space_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vgg8_bn: it needs images of 16 pixels"):
        begin(tmp_path, student={"model": "vgg8_bn"})
    assert not (tmp_path / "small").exists()


def test_alone_a_machine_without_the_gpu_begins_nothing_but_shows_what_is_there(tmp_path: Path) -> None:
    asked = {"resources": {"cpu": 1, "gpu": 1}}
    if not torch.cuda.is_available():
        with (
            pytest.raises(ConfigError, match="a GPU is asked for, but torch sees none"),
            open_as_driver(space(tmp_path, **asked), Watching()),
        ):
            pass
        assert not (tmp_path / "small").exists()
    with open_as_driver(space(tmp_path, **asked), Watching(), ask_workers=lambda: True):
        pass
    with open_as_driver(space(tmp_path, **asked), Watching()) as study:
        assert study.resumed


def test_a_study_says_what_it_is_once(tmp_path: Path) -> None:
    with open_as_driver(space(tmp_path), Watching()) as study:
        assert not study.resumed
        assert (study.folder, study.root) == (tmp_path / "small", tmp_path)
        assert study.artifacts == tmp_path / "artifacts"
        assert study.progress == tmp_path / "progress"
    content = (tmp_path / "small" / "study.json").read_bytes()
    about = json.loads(content)
    assert about["space"] == space(tmp_path).identity()
    assert about["data"]["fingerprint"] == sources.get("digits").fingerprint(DataSpec("digits"))
    assert about["precision"] in {"fp32", "bf16"}
    with open_as_driver(space(tmp_path), Watching()) as study:
        assert study.resumed
        assert study.describe.precision == about["precision"]
    assert (tmp_path / "small" / "study.json").read_bytes() == content


def test_budgets_may_change_and_the_study_goes_on(tmp_path: Path) -> None:
    with open_as_driver(space(tmp_path), Watching()) as study:
        play(study.scheduler)
    before = records(tmp_path)
    more: dict[str, Any] = {
        "search": searching(trials=9, timeout="10h", max_failures=7),
        "confirm": {"teachers": 2, "seeds": 3},
        "resources": {"cpu": 2, "gpu": 0},
    }
    with open_as_driver(space(tmp_path, **more), Watching()) as study:
        assert not study.scheduler.idle()
        play(study.scheduler)
        assert study.scheduler.search.finished == 9
    after = records(tmp_path)
    assert before.items() < after.items()
    assert sum(name.startswith("search-") for name in after) == 9


def test_a_second_driver_is_refused_and_the_first_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdsearch.search.study.hold", partial(hold, beat_s=0.02, poll_s=0.05))
    with open_as_driver(space(tmp_path), Watching()) as study:
        with pytest.raises(StudyHeldError):
            begin(tmp_path)
        play(study.scheduler)
        assert study.scheduler.done
    begin(tmp_path)


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_killed_driver_loses_seconds_not_hours(tmp_path: Path, moment: list[float]) -> None:
    """Of GPUs, too, whether or not there is a timeout, in every phase."""
    killed = Clock(tmp_path / "elapsed.json", gpu=2.0)
    for _ in range(3600):
        killed.busy("a", True)
        moment[0] += 1
    after = Clock(tmp_path / "elapsed.json")
    assert 3590 <= after.seconds() <= 3600
    assert after.gpu_seconds() == 2 * after.seconds()


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
    assert second.seconds() == 30 + 4, "nobody worked on the study in between"
