"""Does the serial runner finish every job once, closing what is stopped?"""

from dataclasses import dataclass, field
from pathlib import Path

from pdsearch import serial
from pdsearch.events import Event, Outcome, Report
from pdsearch.jobs import Job
from tests.stages.digits import ALONE, distilled, job, site


@dataclass
class Given:
    """Work that is a list of jobs; the one named is stopped at its first epoch."""

    jobs: list[Job]
    stop: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    told: dict[str, list[Event]] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return not self.jobs

    def next(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, job: Job, event: Event) -> bool:
        self.told.setdefault(job.id, []).append(event)
        return job.id == self.stop and isinstance(event, Report)

    def finish(self, job: Job, outcome: Outcome) -> None:
        assert job.id not in self.outcomes
        self.outcomes[job.id] = outcome


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
    given = Given([stopped, job(distilled(ALONE, seed=1), id="b")], stop="a")
    serial.run(given, site(tmp_path))
    assert given.outcomes["a"] == Outcome("stopped")
    assert given.outcomes["b"].state == "complete"
    assert sum(isinstance(event, Report) for event in given.told["a"]) == 1
    assert (tmp_path / "progress" / stopped.key).is_dir()
