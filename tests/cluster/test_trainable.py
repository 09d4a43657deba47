"""A worker runs one job after another, and closes each of them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.cluster.messages import events_of
from pdsearch.errors import StorageFullError
from pdsearch.protocol import Job, Outcome, Report
from pdsearch.records.codec import encode
from tests.pipeline.digits import ALONE, distilled, job

pytestmark = pytest.mark.usefixtures("ray_session")


def config(folder: Path, given: Job | None) -> dict[str, Any]:
    place = {"artifacts": str(folder / "artifacts"), "progress": str(folder / "progress"), "graphs": True}
    return {
        "job": None if given is None else json.dumps(encode(given)),
        "place": {**place, "threads": 1, "gpu": 0, "logs": str(folder / "trials"), "patience_s": None},
    }


def told_until(worker: Any, kind: type) -> list[Any]:
    """Return what a worker tells up to an event of a kind: a step tells what there is after a quarter of a second."""
    events = events_of(worker.step())
    while not events or not isinstance(events[-1], kind):
        events += events_of(worker.step())
    return events


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from pdsearch.cluster.worker import JobTrainable

    threads = torch.get_num_threads()
    # Outside a Tuner, Tune gives a trainable a folder in the user's home.
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray_results"))
    made = JobTrainable(config(tmp_path, None))
    yield made
    made.cleanup()
    torch.set_num_threads(threads)


def test_a_worker_without_a_job_rests(worker: Any) -> None:
    result = worker.step()
    assert (events_of(result), result["done"]) == ([], False)


def test_it_keeps_the_memory_that_a_step_frees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pdsearch.cluster.worker import JobTrainable

    kept: list[bool] = []
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray_results"))
    monkeypatch.setattr("pdsearch.cluster.worker.keep_freed_memory", lambda: kept.append(True))
    JobTrainable(config(tmp_path, None)).cleanup()
    assert kept


def test_it_runs_one_job_after_another_and_keeps_what_it_loaded(worker: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        assert worker.reset_config(config(tmp_path, job(distilled(ALONE, seed=seed))))
        events = told_until(worker, Outcome)
        assert events[-1].state == "complete"
        assert [use.hit for use in events[-1].artifacts if use.stage == "data"] == [seed == 1]


@pytest.mark.parametrize("leave", ["reset", "cleanup"])
def test_a_job_left_in_the_middle_saves_its_progress(worker: Any, tmp_path: Path, leave: str) -> None:
    begun = job(ALONE, decide_at=(1,))
    worker.reset_config(config(tmp_path, begun))
    told_until(worker, Report)
    folder = tmp_path / "progress" / begun.key
    before = {path.name for path in folder.rglob("*")}  # What it made so far is noted.
    if leave == "reset":
        worker.reset_config(config(tmp_path, None))
    else:
        worker.cleanup()
    assert before < {path.name for path in folder.rglob("*")}
    assert not list((tmp_path / "artifacts" / ".leases").glob("*.json"))


def test_a_job_is_left_though_its_progress_cannot_be_saved(
    worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.reset_config(config(tmp_path, job(ALONE, decide_at=(1,))))
    told_until(worker, Report)

    def refuse(*_: object, **__: object) -> None:
        raise StorageFullError("no space is left")

    monkeypatch.setattr("pdsearch.training.checkpoint.Checkpoint.save", refuse)
    assert worker.reset_config(config(tmp_path, None))
    assert events_of(worker.step()) == []


def test_it_begins_another_job_though_its_folder_was_removed(
    worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sent"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", "")  # It sets this one, here in the test's process.
    assert worker.reset(config(tmp_path, job(ALONE)), storage=Storage(tmp_path))
    assert events_of(worker.step())
    worker.cleanup()
    os.chdir("/")


class Storage:
    """What Tune asks of its own at the beginning of a job, and of the current folder then."""

    def __init__(self, folder: Path) -> None:
        self.trial_working_directory = str(folder / "logs")
