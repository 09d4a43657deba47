from collections.abc import Generator
from pathlib import Path

import pytest

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.io.durable import PAUSES_S
from pdsearch.pipeline import trial as patience
from pdsearch.pipeline.trial import patiently
from pdsearch.protocol import Event, Outcome, Progress, Report
from tests.pipeline.digits import ALONE, job, site


def refusing(monkeypatch: pytest.MonkeyPatch, *errors: StorageError) -> list[float]:
    """Let each run of a job end in the next of the errors, and then well; return the list of pauses to come."""
    coming = list(errors)

    def run_job(*_: object) -> Generator[Event, None, None]:
        yield Report(1, 1, 0.5, 1.0)
        if coming:
            raise coming.pop(0)
        yield Outcome("complete")

    monkeypatch.setattr(patience, "run_job", run_job)
    return []


def test_a_storage_that_does_not_answer_for_a_while_costs_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = refusing(monkeypatch, StorageError("stale handle"), StorageError("stale handle"))
    events = list(patiently(job(ALONE), site(tmp_path), sleep=slept.append))
    assert slept == [1.0, 2.0]
    assert events[-1] == Outcome("complete")
    notes = [event.note for event in events if isinstance(event, Progress)]
    assert notes == ["stale handle; trying again in 1 s", "stale handle; trying again in 2 s"]


def test_patience_ends_after_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = refusing(monkeypatch, *[StorageError("gone")] * 9)
    with pytest.raises(StorageError, match="gone"):
        list(patiently(job(ALONE), site(tmp_path), sleep=slept.append))
    assert slept == list(PAUSES_S)
    assert sum(slept) == 60


def test_waiting_makes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = refusing(monkeypatch, StorageFullError("full"))
    with pytest.raises(StorageFullError):
        list(patiently(job(ALONE), site(tmp_path), sleep=slept.append))
    assert slept == []
