"""The serial runner finishes every job once, and closes what is stopped."""

from pathlib import Path

from pdsearch import serial
from pdsearch.protocol import Outcome, Report
from tests.pipeline.digits import ALONE, distilled, job, site
from tests.pipeline.given import Given


def test_every_job_is_told_of_and_finished_once(tmp_path: Path) -> None:
    given = Given([job(ALONE, id="a"), job(distilled(ALONE, seed=1), id="b")])
    serial.run(given, site(tmp_path))
    assert {name: outcome.state for name, outcome in given.outcomes.items()} == {
        "a": "complete",
        "b": "complete",
    }
    assert all(sum(isinstance(event, Report) for event in told) == 2 for told in given.told.values())
    assert not any(isinstance(event, Outcome) for told in given.told.values() for event in told)


def test_a_stopped_job_is_closed_with_its_progress_saved(tmp_path: Path) -> None:
    stopped = job(ALONE, id="a")
    jobs = [stopped, job(distilled(ALONE, seed=1), id="b")]
    given = Given(jobs, lambda job, event: job.id == "a" and isinstance(event, Report))
    serial.run(given, site(tmp_path))
    assert given.outcomes["a"] == Outcome("stopped")
    assert given.outcomes["b"].state == "complete"
    assert sum(isinstance(event, Report) for event in given.told["a"]) == 1
    assert (tmp_path / "progress" / stopped.key).is_dir()
